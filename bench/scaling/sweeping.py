"""How long a sweep of the product takes from end to end, and what PostgreSQL writes for each refresh."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from statistics import median

from bench.scaling.filling import Filled
from bench.scaling.queries import LIMIT
from bench.scaling.site import Site
from bench.scaling.tables import between, full_pages, written
from bench.settings import CLIENT
from bench.stored import Nobody
from service.adapters.postgres import Database, PostgresUpkeep
from service.settings import load_settings
from service.wired import Broker
from service.wiring import open_broker
from worker.jobs import MOST_AT_A_SWEEP

_AT_MOST_S = 10.0


async def sweep(where: Site, base: Filled, sized: Filled, rounds: int) -> dict[str, object]:
    """Have what is due replaced by the product's sweeps, so many times 500 in each database in turn."""
    took: dict[int, list[float]] = {0: [], 1: []}
    async with AsyncExitStack() as stack:
        brokers = [await stack.enter_async_context(_broker(where, one)) for one in (base, sized)]
        for _ in range(rounds + 1):
            for place, one in enumerate((base, sized)):
                await one.wave(LIMIT)
                took[place].append(await _sweep(brokers[place], LIMIT))
    # The first of each connected, and made the statements known.
    swept, base_swept = median(took[1][1:]), median(took[0][1:])
    return {"sweep_ms": swept, "sweep_vs_10k": swept / base_swept}


async def writes(where: Site, sized: Filled, refreshes: int) -> dict[str, object]:
    """Return what is written for a refresh, right after a checkpoint with whole pages, and without those."""
    after_checkpoint = await _writes(where, sized, refreshes, full=True)
    plain = await _writes(where, sized, refreshes, full=False)
    await full_pages(sized.url, on=True)
    return {
        "rows_a_refresh": plain["rows"],
        "index_entries_a_refresh": plain["index_entries"],
        "wal_bytes_a_refresh": plain["wal_bytes"],
        "wal_bytes_a_refresh_after_checkpoint": after_checkpoint["wal_bytes"],
    }


async def _writes(where: Site, sized: Filled, refreshes: int, *, full: bool) -> dict[str, float]:
    await sized.wave(refreshes)
    await full_pages(sized.url, on=full)
    before = await written(sized.url)
    async with _broker(where, sized) as broker:
        await _sweep(broker, refreshes)
    # The broker is closed: what its connections wrote is counted, its events included.
    return await between(sized.url, before, await written(sized.url), refreshes)


def _broker(where: Site, sized: Filled) -> AbstractAsyncContextManager[Broker]:
    env, _ = where.settings(sized.url)
    return open_broker(load_settings(env, role="work"), Nobody())


async def _sweep(broker: Broker, due: int) -> float:
    """Sweep until all that are due have been replaced; returns the milliseconds that took."""
    began, rotated = time.perf_counter(), 0
    while rotated < due:
        swept = await broker.sweeps.sweep(CLIENT, MOST_AT_A_SWEEP)
        rotated += swept.rotated
        if swept.claimed:
            continue
        # On a busy machine a broker may know the database's clock, or Redis' budget, only a moment later.
        if time.perf_counter() - began > _AT_MOST_S:
            raise LookupError(f"Of {due} pairs that were due {rotated} were replaced.")
        await asyncio.sleep(0.05)
    return (time.perf_counter() - began) * 1000


async def upkeep(sized: Filled, times: int) -> dict[str, object]:
    """Return how long the worker's count over the tables takes, which it makes every minute."""
    database = Database(sized.url, Nobody())
    await database.start()
    keeper = PostgresUpkeep(database)
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        counted = await keeper.gauges(CLIENT, datetime.now(UTC))
        took.append((time.perf_counter() - began) * 1000)
        if sum(counted.users.values()) != sized.grants:
            raise LookupError(f"The gauges count {counted.users} of {sized.grants} grants.")
    await database.aclose()
    return {"gauges_ms": median(took)}
