"""The broker's now is the database's, however wrong this machine's clock is; deadlines too."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from service.adapters.postgres import Database, DatabaseClock
from service.broker.errors import StorageUnavailable
from tests.support.builders import MINUTE, SECOND
from tests.support.cached import ANNA, Notes
from tests.support.stored import DEADLINE, open_stores

# Found before the server's own function of this name, since the search path says so.
SHIFTED = """
    CREATE SCHEMA shifted;
    CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS $$ SELECT pg_catalog.clock_timestamp() + interval '{shift} seconds' $$;
    ALTER DATABASE {name} SET search_path = shifted, pg_catalog, public;
"""


@pytest.fixture(params=[-5 * MINUTE, 0 * MINUTE, 5 * MINUTE], ids=["behind", "together", "ahead"])
def shift(request):
    """How far the database's clock is ahead of this machine's."""
    return request.param


@pytest.fixture
async def stores(database_url, shift):
    async with open_stores(database_url) as stores:
        name = await stores.raw.fetchval("SELECT current_database()")
        await stores.raw.execute(SHIFTED.format(shift=shift.total_seconds(), name=name))
        yield stores


@pytest.fixture
async def clock(stores):
    clock = DatabaseClock(stores.database)
    await clock.measure()
    return clock


async def test_now_is_the_databases_now(stores, clock):
    assert abs(clock() - await stores.grants.now()) < SECOND
    assert clock().tzinfo is UTC


async def test_now_is_the_databases_before_anything_is_asked_of_a_new_connection(stores, database_url):
    database = Database(database_url, Notes())
    clock = DatabaseClock(database)
    await database.start()
    async with database.connection():
        assert abs(clock() - await stores.grants.now()) < SECOND
    await database.aclose()


async def test_how_far_this_machines_clock_is_off_is_known(clock, shift):
    assert abs(clock.skew + shift) < SECOND


async def test_now_goes_on_between_measurements(clock):
    first = clock()
    await asyncio.sleep(0)
    assert timedelta(0) < clock() - first < SECOND


async def test_a_claims_deadline_is_counted_by_the_databases_clock(stores, clock):
    claimed = await stores.claimed()
    assert abs(claimed.claim.deadline_at - clock() - DEADLINE) < SECOND
    assert await stores.claims.claim(ANNA, claimed.generation, "another-process") is None


async def test_a_clock_that_was_never_measured_is_this_machines():
    clock = DatabaseClock(Database("postgresql://127.0.0.1:1/nowhere", Notes()))
    assert abs(clock() - datetime.now(UTC)) < SECOND
    assert clock.skew == timedelta(0)


class SlowConnection:
    """A connection whose answer comes after this process has been stopped for a while."""

    def __init__(self, monkeypatch, stopped_s):
        self._stop = lambda: monkeypatch.setattr(
            time, "monotonic", lambda now=time.monotonic: now() + stopped_s
        )

    async def fetchval(self, _):
        now = datetime.now(UTC)
        self._stop()
        return now


async def test_a_measurement_that_took_long_changes_nothing_that_is_known(clock, monkeypatch):
    before = clock()
    await clock._measure_on(SlowConnection(monkeypatch, stopped_s=8))
    assert 8 * SECOND <= clock() - before < 9 * SECOND


async def test_a_first_measurement_that_took_long_is_never_behind_and_is_made_again(monkeypatch):
    clock = DatabaseClock(Database("postgresql://127.0.0.1:1/nowhere", Notes()))
    await clock._measure_on(SlowConnection(monkeypatch, stopped_s=8))
    assert 8 * SECOND <= clock() - datetime.now(UTC) < 9 * SECOND
    assert not clock.measured


async def test_a_measurement_that_fails_leaves_the_clock_as_it_was():
    database = Database("postgresql://127.0.0.1:1/nowhere", Notes(), timeout_s=1.0)
    await database.start()
    clock = DatabaseClock(database)
    before = clock()
    with pytest.raises(StorageUnavailable):
        await clock.measure()
    assert timedelta(0) < clock() - before < MINUTE
    await database.aclose()
