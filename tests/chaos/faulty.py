"""A real service or worker process with faults around its ports: `python -m tests.chaos.faulty serve|work`.

CHAOS holds a JSON object: `blows` (see points.Blow) and whether they `meet` (see points.Points), `without`
(see wrapped.Without), `clock_off_s` (how far this process's wall clock is off), `own_ticks` (a worker that
shares its ticks with no other), `rests` (a folder: the worker does nothing ahead of time for a client before
the folder holds a file of its name).
Without CHAOS it is `token-broker` itself. The product ships no switch: what is wrapped here are the ports
that its wiring has made.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import service.cli
import service.serving  # before the clock is put off: pydantic reads the types of what its models hold
import worker.main
from service import wiring
from tests.chaos.held import holding
from tests.chaos.points import Points
from tests.chaos.wrapped import RestingBudget, Without, pointed, weakened


def main():
    chaos = json.loads(os.environ.pop("CHAOS", "{}"))
    if off_s := chaos.get("clock_off_s"):
        put_the_clock_off(off_s)
    if chaos.get("own_ticks"):
        tick_alone()
    wrap_the_ports(chaos)
    return service.cli.main(sys.argv[1:])


def wrap_the_ports(chaos):
    """Put what was asked for around the ports that wiring makes."""
    points = Points(chaos.get("blows", ()), meet=chaos.get("meet", False))
    without = Without(**chaos.get("without", {}))
    upstream = urlsplit(os.environ.get("CAL_API_URL", ""))
    held = holding(f"{upstream.scheme}://{upstream.netloc}")
    make = wiring._ports

    async def ports(settings, observer, stack, database, *rest):
        made = await make(settings, observer, stack, database, *rest)
        if rests := chaos.get("rests"):
            made = replace(made, budget=RestingBudget(made.budget, rests))
        return pointed(weakened(made, without, database), points, held)

    wiring._ports = ports


def tick_alone():
    """Have this worker's ticks to itself: workers of one queue share them, and each tick goes to one."""
    mine, cron = f"-{os.getpid()}", worker.main.cron
    worker.main.QUEUE_NAME += mine
    worker.main.cron = lambda job, *, name, **options: cron(job, name=name + mine, **options)


def put_the_clock_off(off_s):
    """Have every wall clock of this process off by so much; the monotonic one goes on as it is."""
    off, honest = timedelta(seconds=off_s), time.time

    class Any(type):
        def __instancecheck__(cls, value):
            return isinstance(value, datetime)

    class Off(datetime, metaclass=Any):
        # What it makes are plain instants: not every library takes an instance of a subclass.
        def __new__(cls, *parts, **options):
            return datetime.__new__(datetime, *parts, **options)

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + off

    time.time = lambda: honest() + off_s
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"service", "worker"} and getattr(module, "datetime", None) is datetime:
            module.datetime = Off


if __name__ == "__main__":
    raise SystemExit(main())
