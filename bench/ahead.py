"""One worker process and an upstream that answers at once: how many pairs a second it replaces ahead of time.

First with all of them due, as fast as it can; then with 278 a second coming due, as a million users' hourly
tokens do, for what share of a core that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from bench import stored
from bench.figures import Figure
from bench.machine import cpu_s
from bench.people import Person, people
from bench.programs import Program, free_port, python, running
from bench.settings import NO_LIMITS, environment
from bench.stand import Stand, calls

_FIRST = 5_000_000
_A_SECOND = 278
_SLACK_S = 6.0
"""A sweep begins every five seconds: the last that came due may wait so long, and be replaced after that."""
_LEAD_S = 4.0
_SETTLED = "SELECT count(*) FROM grants WHERE generation > 2"


@dataclass(frozen=True, slots=True)
class Size:
    """How many are due at once, how long that may take, and for how long 278 a second come due."""

    due: int
    at_most_s: float
    paced_s: int


FULL, QUICK = Size(due=20_000, at_most_s=20.0, paced_s=30), Size(due=500, at_most_s=8.0, paced_s=2)


def measure(stand: Stand, size: Size) -> dict[str, Figure]:
    """Measure both."""
    return {
        "ahead_per_s": _all_at_once(stand, size),
        "ahead_core_share_at_278": _paced(stand, size),
    }


def _all_at_once(stand: Stand, size: Size) -> Figure:
    crowd = people(size.due, first=_FIRST, ends_in_s=300)
    due_at = [datetime.now(UTC) - timedelta(seconds=1)] * len(crowd)
    url = asyncio.run(_stored(stand, "ahead", crowd, due_at))
    before = calls(stand.upstream)["refreshes"]
    with _worker(stand, url):
        limit = time.monotonic() + size.at_most_s
        while calls(stand.upstream)["refreshes"] == before and time.monotonic() < limit:
            time.sleep(0.01)
        began = time.monotonic()
        settled = _await_settled(url, len(crowd), began + size.at_most_s)
        seconds = time.monotonic() - began
    if settled == 0:
        return Figure(None, why="the worker replaced nothing")
    return Figure(settled / seconds)


def _paced(stand: Stand, size: Size) -> Figure:
    crowd = people(_A_SECOND * size.paced_s, first=2 * _FIRST, ends_in_s=300)
    begins_at = datetime.now(UTC) + timedelta(seconds=_LEAD_S + len(crowd) / 2000)
    due_at = [begins_at + timedelta(seconds=n / _A_SECOND) for n in range(len(crowd))]
    url = asyncio.run(_stored(stand, "ahead_paced", crowd, due_at))
    with _worker(stand, url) as worker:
        time.sleep(max(0.0, (begins_at - datetime.now(UTC)).total_seconds()))
        used = cpu_s(worker.pids)
        settled = _await_settled(url, len(crowd), time.monotonic() + size.paced_s + _SLACK_S)
        used = cpu_s(worker.pids) - used
    return paced_figure(settled, len(crowd), used, size.paced_s)


def paced_figure(settled: int, came_due: int, cpu_used_s: float, seconds: float) -> Figure:
    """Return the share of a core, unless the worker did not keep up."""
    if settled < came_due:
        return Figure(None, why=f"the worker did not keep up: {settled} of {came_due} were replaced in time")
    return Figure(cpu_used_s / seconds)


async def _stored(stand: Stand, name: str, crowd: Sequence[Person], due_at: Sequence[datetime]) -> str:
    url = await stored.create_database(stand.server_url, name)
    await stored.prepare_broker(url)
    await stored.store_people(url, crowd, due_at)
    return url


@contextmanager
def _worker(stand: Stand, database_url: str) -> Iterator[Program]:
    ports = (free_port(), free_port(), free_port())
    env = environment(database_url, stand.rotating_redis_url, stand.upstream.port, ports) | NO_LIMITS
    command = python("service.cli", "work")
    with running(
        "worker", command, port=ports[2], folder=stand.place, cores={stand.cores.server}, env=env
    ) as program:
        yield program


def _await_settled(url: str, wanted: int, limit: float) -> int:
    """Return how many pairs have been replaced, once it is all of them or the time is up."""

    async def watch() -> int:
        connection = await asyncpg.connect(url)
        settled = 0
        while settled < wanted and time.monotonic() < limit:
            await asyncio.sleep(0.1)
            settled = await connection.fetchval(_SETTLED)
        await connection.close()
        return settled

    return asyncio.run(watch())
