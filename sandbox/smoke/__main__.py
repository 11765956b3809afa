"""`python -m sandbox.smoke`: runs once, says how it goes, and ends with one line of JSON.

Exit code 0 when every promise held; otherwise 1, with each broken one on standard error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import orjson

from sandbox.calcom.cli import read_seconds
from sandbox.dev.signals import interrupt_on_all
from sandbox.dev.stack import Failed
from sandbox.embedded import EmbeddedError
from sandbox.smoke.promises import broken
from sandbox.smoke.run import smoke

PEOPLE, REPLACED = 24, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    args = _parser().parse_args(argv)
    started = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - started:5.1f} s] {text}\n")
        sys.stdout.flush()

    interrupt_on_all()
    try:
        figures = smoke(
            users=args.users, replaced=args.replaced, lifetime_s=args.lifetime, limit_s=args.limit, say=say
        )
    except KeyboardInterrupt:
        return 1
    except (Failed, EmbeddedError, OSError) as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    sentences = broken(figures, users=args.users, replaced=args.replaced)
    sys.stderr.write("".join(f"broken promise: {sentence}\n" for sentence in sentences))
    sys.stderr.flush()
    sys.stdout.write(orjson.dumps(asdict(figures)).decode() + "\n")
    return 1 if sentences else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.smoke", description=__doc__)
    parser.add_argument("--users", type=int, default=PEOPLE, help="how many users (%(default)s)")
    parser.add_argument(
        "--replaced", type=int, default=REPLACED, help="replaced pairs wanted of each user (%(default)s)"
    )
    parser.add_argument(
        "--lifetime",
        type=read_seconds,
        default=18.0,
        help="life of an access token (18s)",
        metavar="DURATION",
    )
    parser.add_argument(
        "--limit", type=read_seconds, default=150.0, help="when to give up (150s)", metavar="DURATION"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
