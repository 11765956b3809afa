"""`token-broker sandbox`: serves a sandbox in the foreground until SIGINT or SIGTERM.

Mounted as a subcommand through `add_arguments` and `main`; never imports the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import re
import signal
import sys
from collections.abc import Sequence

from sandbox.calcom.config import SandboxClient, SandboxConfig
from sandbox.calcom.serving import serve

DEFAULT_CLIENT = SandboxClient("sandbox-client", "sandbox-secret")
MAX_PORT = 65_535
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_client(text: str) -> SandboxClient:
    """Return the client of `id:secret[:redirect,redirect]`."""
    client_id, _, rest = text.partition(":")
    secret, _, redirects = rest.partition(":")
    if not client_id or not secret:
        raise argparse.ArgumentTypeError(
            f"{client_id or text!r} has no secret; write it like my-client:my-secret"
        )
    uris = tuple(uri for uri in redirects.split(",") if uri)
    return SandboxClient(client_id, secret, redirect_uris=uris or ("*",))


def read_seconds(text: str) -> float:
    """Return the seconds of a duration such as 20, 20s or 60m."""
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write it like 20s or 60m")
    return float(match[1]) * _UNITS[match[2] or "s"]


def read_port(text: str) -> int:
    """Return a port number."""
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 to {MAX_PORT}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=read_port, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--lifetime",
        type=read_seconds,
        default=3600.0,
        metavar="DURATION",
        help="life of an access token (60m)",
    )
    parser.add_argument("--journal", metavar="FILE", help="append one JSON line for each call to this file")
    parser.add_argument(
        "--client",
        type=read_client,
        action="append",
        metavar="ID:SECRET[:ORIGIN,...]",
        help="an OAuth client and the browser origins it allows; may be repeated "
        f"(default {DEFAULT_CLIENT.id}:{DEFAULT_CLIENT.secret}, every origin)",
    )
    parser.add_argument("--no-throttle", action="store_true", help="never answer 429 by itself")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn")


def main(args: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 then, 2 when the port or the journal cannot be had."""
    config = SandboxConfig(
        clients=tuple(args.client or (DEFAULT_CLIENT,)),
        lifetime_s=args.lifetime,
        journal_path=args.journal,
        seed=args.seed,
        throttle=not args.no_throttle,
    )
    try:
        asyncio.run(_serve_until_signal(config, args.host, args.port))
    except OSError as error:
        sys.stderr.write(f"{_explain(error, args)}\n")
        return 2
    return 0


async def _serve_until_signal(config: SandboxConfig, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(config, host, port) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _explain(error: OSError, args: argparse.Namespace) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {args.port} of {args.host} is taken, so the sandbox did not start. "
            "Choose another with --port, or --port 0 for a free one."
        )
    if args.journal is not None and error.filename == args.journal:
        return (
            f"The journal {args.journal} cannot be written ({error.strerror}). Choose another with --journal."
        )
    return f"The sandbox cannot listen on {args.host}:{args.port} ({error.strerror or error})."


def run(argv: Sequence[str]) -> int:
    """Parse the arguments and serve; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="token-broker sandbox", description="A local stand-in for Cal.com's Platform API v2."
    )
    add_arguments(parser)
    return main(parser.parse_args(argv))
