"""`token-broker dev`: parses the command line, checks the ports, runs the stack until Ctrl-C.

Exit codes: 0 after Ctrl-C, 1 when a part failed, 2 for wrong usage. Imports late what is heavy, because
`token-broker` mounts this command every time.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox.calcom.cli import read_port, read_seconds
from sandbox.dev.plan import REAL_LIFETIME_S, Plan, RealUpstream, WrongUsage
from sandbox.dev.ports import WHAT, Complaint, Ports, complaints

SHORTEST_S = 12.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the data there and open it again (default: a temporary one)",
    )
    parser.add_argument(
        "--lifetime",
        type=read_seconds,
        default=Plan().lifetime_s,
        metavar="DURATION",
        help="life of an access token at the sandbox (90s)",
    )
    for name, (what, option) in WHAT.items():
        default = getattr(Ports(), name)
        parser.add_argument(option, dest=name, type=read_port, default=default, help=f"{what} (%(default)s)")


def main(args: argparse.Namespace) -> int:
    """Run until Ctrl-C; returns the exit code."""
    try:
        plan = _plan(args)
    except WrongUsage as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    from sandbox.dev.run import run

    return run(plan)


def _advice(taken: list[Complaint]) -> str:
    """Return what is wrong with the ports, and a command that would do."""
    program = sys.argv[0] if sys.argv[0].endswith("token-broker") else "token-broker"
    command = " ".join([program, "dev", *(complaint.instead for complaint in taken)])
    whys = "\n".join(complaint.why for complaint in taken)
    return f"{whys}\nNothing was started. Stop what uses the port, or choose another: {command}"


def _plan(args: argparse.Namespace) -> Plan:
    if args.lifetime < SHORTEST_S:
        raise WrongUsage(f"--lifetime must be at least {SHORTEST_S:.0f}s: less leaves no time to refresh.")
    ports = Ports(**{name: getattr(args, name) for name in WHAT})
    taken = complaints(ports)
    if taken:
        raise WrongUsage(_advice(taken))
    real = RealUpstream.of(os.environ)
    return Plan(ports, REAL_LIFETIME_S if real else args.lifetime, keep=args.keep, real=real)
