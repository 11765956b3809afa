"""What is told and counted of an answer does not say which way it came."""

import asyncio

import pytest

from service.broker.model import UserKey
from service.metrics import Metrics, Telemetry
from tests.support.written_logs import written_logs

USER = UserKey("acme", "u-1")
DONE = {"route": "/refresh", "method": "GET", "status": 200, "seconds": 0.01, "request_id": "r-1"}


async def short(telemetry, source):
    telemetry.enter_request("r-1")
    telemetry.note("request.done", USER, **DONE, source=source)


async def service(telemetry, source):
    telemetry.note("request.done", USER, **DONE, source=source)


async def long(telemetry, source):
    telemetry.enter_request("r-1")
    telemetry.note("answer", USER, source=source)
    telemetry.note("request.done", USER, **DONE, source=None)


async def told(way, access_log, source):
    """The lines without their instants, and the figures."""
    with written_logs() as written:
        telemetry = Telemetry(Metrics(), access_log)
        await asyncio.create_task(way(telemetry, source))
        lines = [{**line, "ts": None} for line in written.lines]
    figures = telemetry.metrics.render().decode().splitlines()
    return lines, [line for line in figures if "_created" not in line and "process_" not in line]


@pytest.mark.parametrize("source", ["near", "redis"])
@pytest.mark.parametrize(("access_log", "lines"), [("misses", 0), ("all", 1), ("none", 0)])
@pytest.mark.parametrize("way", [short, service])
async def test_an_answer_is_told_and_counted_alike_whichever_way_it_came(way, access_log, lines, source):
    seen = await told(way, access_log, source)

    assert len(seen[0]) == lines
    assert any(f'source="{source}"' in line and line.endswith(" 1.0") for line in seen[1])
    assert seen == await told(long, access_log, source)
