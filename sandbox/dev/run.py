"""One run from start to end: storage, then the stack on an event loop, until a signal comes or a part fails.

A second Ctrl-C while it is ending kills what has not ended yet.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from sandbox.dev.environment import ignored
from sandbox.dev.home import Home
from sandbox.dev.plan import Plan, WrongUsage
from sandbox.dev.signals import STOPPING, interrupt_on_all
from sandbox.dev.stack import Failed, running, storage
from sandbox.dev.terminal import Teller, greet, say
from sandbox.embedded import EmbeddedError, Servers
from sql.migrate import MigrationError


def run(plan: Plan) -> int:
    """Run it; returns the exit code."""
    interrupt_on_all()
    try:
        _run(plan)
    except KeyboardInterrupt:
        pass
    except WrongUsage as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    except (Failed, EmbeddedError, MigrationError, OSError) as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    say("Stopped; " + (f"the data is in {plan.keep}." if plan.keep else "nothing is left behind."))
    return 0


def _run(plan: Plan) -> None:
    _warn()
    say("Starting PostgreSQL and Valkey ...")
    with storage(plan) as (home, pair):
        asyncio.run(_until_told(plan, home, pair))


async def _until_told(plan: Plan, home: Home, pair: Servers) -> None:
    standing = asyncio.create_task(_stand(plan, home, pair))
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, _stop, standing)
    with suppress(asyncio.CancelledError):
        await standing


def _stop(standing: asyncio.Task[None]) -> None:
    say("\nStopping ..." if not standing.cancelling() else "Killing ...")
    standing.cancel()


async def _stand(plan: Plan, home: Home, pair: Servers) -> None:
    teller = Teller()
    async with running(plan, home, pair, teller.hear) as stack:
        greet(plan, home.keys)
        await stack.broken()


def _warn() -> None:
    names = ignored(os.environ)
    if names:
        say(f"Not taken over from your environment, because a run has its own: {', '.join(names)}")
