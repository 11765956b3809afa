"""`python3 -m sandbox.demo`: the sandbox Cal.com and the demo page, beside a broker that runs elsewhere.

What docker-compose.yml starts under the profile `demo`. Must import nothing of the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.calcom.cli import read_port, read_seconds
from sandbox.demo.app import Broker, Demo
from sandbox.dev.environment import CLIENT_ID
from sandbox.dev.home import Home, Keys
from sandbox.dev.plan import Plan
from sandbox.dev.ports import Ports
from sandbox.dev.stack import front
from sandbox.dev.upstream import sandbox_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container; what leads there is for who publishes the port


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code."""
    arguments = _arguments(argv)
    if not environ.get("CAL_API_URL", "").endswith(f":{arguments.port}/v2"):
        sys.stderr.write(
            f"CAL_API_URL does not lead here (port {arguments.port}): the broker speaks to another Cal.com, "
            "and this page's users would be made there. Start it with deploy/demo.env, on its port.\n"
        )
        return 2
    try:
        home = _home(arguments)
    except OSError as error:
        sys.stderr.write(
            f"{error.filename} cannot be read: {error.strerror}. Run deploy/secrets.sh --demo.\n"
        )
        return 2
    asyncio.run(_serve(arguments, home))
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m sandbox.demo", description="The sandbox and its page.")
    parser.add_argument("--port", type=read_port, required=True, help="where browsers find the page")
    parser.add_argument("--public-url", required=True, help="the broker's public listener, from here")
    parser.add_argument("--internal-url", required=True, help="the broker's internal listener, from here")
    parser.add_argument("--shown-url", required=True, help="the internal listener, from the browser")
    parser.add_argument("--api-key-file", type=Path, required=True, help="holds the app's key")
    parser.add_argument("--client-secret-file", type=Path, required=True, help="holds the client's secret")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sandbox's users and tokens")
    parser.add_argument("--lifetime", type=read_seconds, default=Plan().lifetime_s, help="of an access token")
    return parser.parse_args(argv)


def _home(arguments: argparse.Namespace) -> Home:
    client_secret = arguments.client_secret_file.read_text().strip()
    keys = Keys(
        backend=arguments.api_key_file.read_text().strip(),
        client_secret=client_secret,
        # The same user after a restart: the sandbox still has it, and so has the broker.
        suffix=hashlib.sha256(client_secret.encode()).hexdigest()[:6],
    )
    return Home(arguments.data, keys, old=False)


async def _serve(arguments: argparse.Namespace, home: Home) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    plan = Plan(Ports(demo=arguments.port), arguments.lifetime, keep=arguments.data)
    broker = Broker(arguments.public_url, arguments.internal_url, arguments.shown_url)
    demo = Demo(plan, home.keys, sandbox_of(plan, home), broker)
    async with front(plan, home, demo, host=EVERYWHERE), demo.at_work():
        sys.stdout.write(f"http://127.0.0.1:{arguments.port}/ (client {CLIENT_ID})\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    raise SystemExit(main())
