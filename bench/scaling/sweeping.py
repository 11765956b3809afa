"""How long a sweep of the product takes from end to end, and what PostgreSQL writes for each refresh."""

from __future__ import annotations

import time
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
from service.wiring import open_broker


async def sweep(where: Site, sized: Filled, sweeps: int) -> dict[str, object]:
    """Sweep twice so often: with whole pages written to the log, as right after a checkpoint, and without."""
    took, worst = await _sweep(where, sized, sweeps, full=True)
    _, plain = await _sweep(where, sized, sweeps, full=False)
    await full_pages(sized.url, on=True)
    return {
        "sweep_ms": median(took),
        "rows_a_refresh": plain["rows"],
        "index_entries_a_refresh": plain["index_entries"],
        "wal_bytes_a_refresh": plain["wal_bytes"],
        "wal_bytes_a_refresh_after_checkpoint": worst["wal_bytes"],
    }


async def _sweep(
    where: Site, sized: Filled, sweeps: int, *, full: bool
) -> tuple[list[float], dict[str, float]]:
    """Return how long each sweep took, and what was written for each refresh."""
    await full_pages(sized.url, on=full)
    env, _ = where.settings(sized.url)
    took: list[float] = []
    before, rotated = await written(sized.url), 0
    async with open_broker(load_settings(env, role="work"), Nobody()) as broker:
        for _ in range(sweeps):
            began = time.perf_counter()
            swept = await broker.sweeps.sweep(CLIENT, LIMIT)
            took.append((time.perf_counter() - began) * 1000)
            rotated += swept.rotated
    if rotated != sweeps * LIMIT:
        raise LookupError(f"Of {sweeps * LIMIT} pairs that were due {rotated} were replaced.")
    # The broker is closed: what its connections wrote is counted, its events included.
    after = await written(sized.url)
    return took, await between(sized.url, before, after, rotated)


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
