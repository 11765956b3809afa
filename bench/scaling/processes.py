"""What a worker's and a service's process need at one size: time until they work, and memory then."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import aiohttp
import asyncpg

from bench.people import Person
from bench.programs import Program, python, running
from bench.scaling.filling import Filled
from bench.scaling.site import Site

_AT_MOST_S = 180.0
_AT_ONCE = 64
_PSS = re.compile(r"^Pss: +(\d+) kB", re.MULTILINE)
_LEFT = "SELECT count(*) FROM grants WHERE due_at < clock_timestamp() + interval '1 hour'"


def work(where: Site, sized: Filled) -> dict[str, object]:
    """Start a worker and let it replace all that is due."""
    env, ports = where.settings(sized.url)
    began = time.monotonic()
    with running(
        "worker", python("service.cli", "work"), port=ports[2], folder=where.place, cores=where.cores, env=env
    ) as worker:
        started_s = time.monotonic() - began
        asyncio.run(_await_none_due(sized.url))
        return {"worker_start_s": started_s, "worker_bytes": memory(worker)}


def serve(where: Site, sized: Filled, asked: int) -> dict[str, object]:
    """Start a service and ask for so many users with tokens that the worker has since replaced."""
    env, ports = where.settings(sized.url)
    began = time.monotonic()
    with running(
        "service", python("service.cli", "serve"), port=ports[0], folder=where.place, cores=where.cores,
        env=env, says='"service.started"',
    ) as service:  # fmt: skip
        started_s = time.monotonic() - began
        asyncio.run(_ask(ports[0], sized.due[:asked]))
        return {"service_start_s": started_s, "service_bytes": memory(service)}


def memory(program: Program) -> int:
    """Return how much memory a program's processes hold; what they share with others counts in part."""
    total = 0
    for pid in program.pids:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        total += int(found[1]) * 1024 if found else 0
    return total


async def _await_none_due(url: str) -> None:
    connection = await asyncpg.connect(url)
    limit = time.monotonic() + _AT_MOST_S
    while await connection.fetchval(_LEFT):
        if time.monotonic() > limit:
            raise TimeoutError("the worker did not replace all that was due")
        await asyncio.sleep(0.2)
    await connection.close()


async def _ask(port: int, crowd: list[Person]) -> None:
    places = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_AT_ONCE)) as client:

        async def ask(one: Person) -> None:
            headers = {"Authorization": f"Bearer {one.current}"}
            async with places, client.get(f"http://127.0.0.1:{port}/refresh", headers=headers) as answer:
                given = (await answer.json())["accessToken"]
            if answer.status != 200 or given == one.current:  # noqa: PLR2004 - HTTP's
                raise LookupError(f"The service answered {answer.status} for a user whose pair was replaced.")

        await asyncio.gather(*(ask(one) for one in crowd))
