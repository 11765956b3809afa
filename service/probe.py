"""`python3 -m service.probe`: asks the process beside it whether it lives, without a shell or curl.

Exit code 0 when it answers, else 1 and one line that says what is wrong. Takes one setting, the observing
listener's address. Standard library only, and nothing of this program: it must not fail for what that does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException

SETTING = "TOKEN_BROKER_OBSERVE_ADDRESS"
WITHIN_S = 3.0
_DEFAULT = "0.0.0.0:9090"
_OK = 200
# Who listens everywhere is asked on loopback; who listens on one address is asked there.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, never listened on


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Ask once; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m service.probe",
        description="Ask the service or the worker beside this process whether it lives (/healthz).",
    )
    parser.add_argument(
        "--ready", action="store_true", help="ask whether it takes requests (/readyz): not while it drains"
    )
    path = "/readyz" if parser.parse_args(argv).ready else "/healthz"
    try:
        wrong = _ask(*_where(environ.get(SETTING) or _DEFAULT), path)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


def _where(address: str) -> tuple[str, int]:
    """Return the host and port to ask; ValueError when the setting names none."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and port.isascii()):
        raise ValueError(f"{SETTING} must be host:port (example: {_DEFAULT})")
    if int(port) == 0:
        raise ValueError(
            f"{SETTING} has port 0, which is another one at each start: name a port to be probed"
        )
    host = host.removeprefix("[").removesuffix("]")
    return _LOOPBACK.get(host, host), int(port)


def _ask(host: str, port: int, path: str) -> str:
    """Return what is wrong with the answer, nothing when it is fine."""
    asked = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
    connection = HTTPConnection(host, port, timeout=WITHIN_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return f"{asked} did not answer within {WITHIN_S:.0f} s"
    except OSError as error:
        return f"{asked} cannot be reached: {error.strerror or type(error).__name__}"
    except HTTPException as error:
        return f"{asked} did not answer as HTTP ({type(error).__name__})"
    finally:
        connection.close()
    return "" if status == _OK else f"{asked} answered {status}"


if __name__ == "__main__":
    raise SystemExit(main())
