"""The pool's connections: nobody waits for one that is being opened while another is free."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from service.adapters.postgres import Database
from service.broker.errors import StorageUnavailable
from tests.support.cached import Notes
from tests.support.proxies import Proxy, listening
from tests.support.waiting import eventually

CALLERS = 8


class Doorkeeper(Proxy):
    """Lets connections through to PostgreSQL; holds new ones while its door is shut, or turns them away."""

    def __init__(self, target):
        super().__init__(target, lambda: 0)
        self.door = asyncio.Event()
        self.door.set()
        self.full = False
        self.turned_away = 0

    async def serve(self, reader, writer):
        if self.full:
            self.turned_away += 1
            return
        await self.door.wait()
        await super().serve(reader, writer)


@asynccontextmanager
async def opened(url, **options):
    database = Database(url, Notes(), **options)
    await database.start()
    try:
        yield database
    finally:
        await database.aclose()


@pytest.fixture
async def doorkeeper(database_url):
    return Doorkeeper(database_url)


@pytest.fixture
async def database(doorkeeper, database_url):
    async with listening(doorkeeper.serve, database_url) as url, opened(url, timeout_s=2.0) as database:
        assert await database.ping()
        yield database


async def ask(database):
    async with database.connection() as connection:
        return await connection.fetchval("SELECT 1")


async def test_who_comes_while_connections_are_slow_to_open_is_served_by_those_that_are(database, doorkeeper):
    doorkeeper.door.clear()
    for _ in range(3):
        assert await asyncio.gather(*(ask(database) for _ in range(CALLERS))) == [1] * CALLERS


async def test_who_comes_while_no_more_connections_can_be_had_is_served_by_those_that_are(
    database, doorkeeper
):
    doorkeeper.full = True
    for _ in range(3):
        assert await asyncio.gather(*(ask(database) for _ in range(CALLERS))) == [1] * CALLERS
        seen = doorkeeper.turned_away
        await eventually(lambda: doorkeeper.turned_away > seen, within_s=10)  # noqa: B023
    doorkeeper.full = False
    await eventually(lambda: doorkeeper.connections == 2, within_s=10)


async def test_connections_are_opened_for_as_many_as_are_busy_at_once(database, doorkeeper):
    together = asyncio.Barrier(CALLERS)

    async def ask_together():
        async with database.connection() as connection:
            await together.wait()
            return await connection.fetchval("SELECT 1")

    assert await asyncio.gather(*(ask_together() for _ in range(CALLERS))) == [1] * CALLERS
    assert doorkeeper.connections == CALLERS


async def test_who_finds_none_free_in_time_is_told_and_who_leaves_takes_no_turn(database, doorkeeper):
    doorkeeper.door.clear()
    async with database.connection():
        impatient, leaving = (asyncio.create_task(ask(database)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(StorageUnavailable):
            await impatient
    assert await asyncio.gather(*(ask(database) for _ in range(CALLERS))) == [1] * CALLERS


async def test_closing_does_not_wait_for_a_connection_that_is_being_opened(doorkeeper, database_url):
    async with listening(doorkeeper.serve, database_url) as url, opened(url, timeout_s=60.0) as database:
        assert await database.ping()
        doorkeeper.door.clear()
        async with database.connection():
            waiting = asyncio.create_task(ask(database))
            await asyncio.sleep(0)
        assert await waiting == 1
        async with asyncio.timeout(20):
            await database.aclose()
