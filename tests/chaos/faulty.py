"""A real service or worker process with faults around its ports: `python -m tests.chaos.faulty serve|work`.

CHAOS holds a JSON object: `blows` (see points.Blow), `without` (see wrapped.Without), `clock_off_s` (how far
this process's wall clock is off). Without CHAOS it is `token-broker` itself. The product ships no switch:
what is wrapped here are the ports that its wiring has made.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta

import aiohttp

import service.cli
from service import wiring
from service.adapters.upstream import wire
from tests.chaos.points import Points
from tests.chaos.wrapped import Without, pointed, weakened

_SENT = {"/refresh": "after_send", "/force-refresh": "force_sent"}


def main():
    chaos = json.loads(os.environ.pop("CHAOS", "{}"))
    if off_s := chaos.get("clock_off_s"):
        put_the_clock_off(off_s)
    points, without = Points(chaos.get("blows", ())), Without(**chaos.get("without", {}))
    point_the_wire(points)
    make = wiring._ports

    async def ports(settings, observer, stack, database, clock, redis):
        made = await make(settings, observer, stack, database, clock, redis)
        return pointed(weakened(made, without, database), points)

    wiring._ports = ports
    return service.cli.main(sys.argv[1:])


def point_the_wire(points):
    """Have a point between a request's last byte and its answer."""

    async def sent(_session, context, params):
        for tail, at in _SENT.items():
            if params.url.path.endswith(tail) and params.method == "POST":
                await points.reach(at)

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(sent)
    open_session = wire.open_session

    def opened(*args, **options):
        session = open_session(*args, **options)
        trace.freeze()
        session._trace_configs.append(trace)
        return session

    wiring.open_session = opened


def put_the_clock_off(off_s):
    """Have every wall clock of this process off by so much; the monotonic one goes on as it is."""
    off, honest = timedelta(seconds=off_s), time.time

    class Off(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + off

    time.time = lambda: honest() + off_s
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"service", "worker"} and getattr(module, "datetime", None) is datetime:
            module.datetime = Off


if __name__ == "__main__":
    raise SystemExit(main())
