"""Migrations while callers go on: nobody waits behind one for long, and none gives up too soon."""

import asyncio
import re
import sys
from contextlib import asynccontextmanager

import asyncpg
import pytest

from sql.migrate import LOCK, MigrationError, migrate
from tests.support.waiting import eventually

WITHIN_S = 20.0
TABLE = "create table first (n integer); insert into first select generate_series(1, 1000)"
COLUMN = "alter table first add column m integer"
INDEX = "-- migrate: outside a transaction\ncreate index concurrently if not exists first_n on first (n)"
MIGRATOR = """
import asyncio, pathlib, sys
from sql.migrate import migrate
print(asyncio.run(migrate(sys.argv[1], pathlib.Path(sys.argv[2]), say=print)))
"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('first_n')"
BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE datname = current_database()"


@pytest.fixture
async def database(empty_database_url, release):
    """The address of a database with the first migration."""
    await migrate(empty_database_url, release(first=TABLE))
    return empty_database_url


@pytest.fixture
async def connection(database):
    connection = await asyncpg.connect(database)
    yield connection
    connection.terminate()


@asynccontextmanager
async def holding(url, statement="select from first"):
    """Keep a transaction open that has used the table."""
    holder = await asyncpg.connect(url, server_settings={"application_name": "backup"})
    try:
        async with holder.transaction():
            await holder.execute(statement)
            yield
    finally:
        holder.terminate()


class Said(list):
    """What a migrator says, and a wait for something of it."""

    def __call__(self, words):
        self.append(words)

    async def heard(self, word):
        await eventually(lambda: any(word in words for words in self), WITHIN_S)


async def test_a_table_that_is_held_is_waited_for(database, release, connection):
    folder, said = release(first=TABLE, second=COLUMN), Said()
    async with holding(database):
        migrating = asyncio.create_task(migrate(database, folder, say=said))
        await said.heard("0002_second: a table is held by process")
        assert not migrating.done()
    assert await migrating == ["0002_second"]
    assert "backup" in said[0]


async def test_who_waits_for_another_migrator_names_its_connection(database, release):
    folder, said = release(first=TABLE, second=COLUMN), Said()
    async with holding(database, f"select pg_advisory_xact_lock({LOCK})"):
        migrating = asyncio.create_task(migrate(database, folder, say=said))
        await said.heard("another migrator is at work")
    assert await migrating == ["0002_second"]
    assert re.search(r"process \d+ of the server$", said[0])


async def test_callers_do_not_queue_behind_a_migration_that_waits(database, release, connection):
    folder, said = release(first=TABLE, second=COLUMN), Said()
    async with holding(database):
        migrating = asyncio.create_task(migrate(database, folder, say=said))
        for _ in range(20):
            assert await connection.fetchval("select count(*) from first", timeout=2) == 1000
            await connection.execute("update first set n = n where n = 1", timeout=2)
        await said.heard("held")
    await migrating


async def test_who_waits_in_vain_says_for_whom_and_has_changed_nothing(database, release, connection):
    folder = release(first=TABLE, second=f"create table second (); {COLUMN}")
    async with holding(database):
        with pytest.raises(MigrationError, match=r"0002_second waited 1 s .* backup"):
            await migrate(database, folder, patience_s=1)
    assert await connection.fetchval("select to_regclass('second')") is None
    assert await migrate(database, folder) == ["0002_second"]


async def test_work_on_data_may_take_longer_than_a_role_allows_a_statement(database, release, connection):
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set statement_timeout = '50ms'")
    slow = "do $$ begin perform pg_sleep(0.2); end $$"
    assert await migrate(database, release(first=TABLE, second=slow)) == ["0002_second"]


async def test_an_index_is_built_beside_writers(database, release, connection):
    folder = release(first=TABLE, second=INDEX)
    async with holding(database, "update first set n = n where n = 1"):
        migrating = asyncio.create_task(migrate(database, folder))
        await eventually(lambda: connection.fetchval(BUILDING), WITHIN_S)
        await connection.execute("insert into first values (0)", timeout=5)
    assert await migrating == ["0002_second"]
    assert await connection.fetchval(VALID)


async def test_two_migrators_do_not_wait_for_each_other_while_one_builds_an_index(
    database, release, connection
):
    folder, said = release(first=TABLE, second=INDEX), Said()
    async with holding(database, "update first set n = n where n = 1"):
        migrating = [asyncio.create_task(migrate(database, folder, say=said)) for _ in range(2)]
        await said.heard("another migrator is at work")
        await eventually(lambda: connection.fetchval(BUILDING), WITHIN_S)
    async with asyncio.timeout(30):
        assert sorted(await asyncio.gather(*migrating)) == [[], ["0002_second"]]


async def killed_while_it_builds(database, folder, connection):
    """Kill a migrator with -9 in the middle of its index, and then what it left running in the server."""
    async with holding(database, "update first set n = n where n = 1"):
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATOR, database, folder)
        await eventually(lambda: connection.fetchval(BUILDING), WITHIN_S)
        killed.kill()
        await killed.wait()
        await connection.execute(f"select pg_terminate_backend(pid) from ({BUILDING}) as building")
        await eventually(lambda: none_builds(connection), WITHIN_S)


async def none_builds(connection):
    return await connection.fetchval(BUILDING) is None


async def test_an_index_that_was_left_invalid_is_built_anew(database, release, connection):
    folder = release(first=TABLE, second=INDEX)
    await killed_while_it_builds(database, folder, connection)
    assert await connection.fetchval(VALID) is False
    assert await migrate(database, folder) == ["0002_second"]
    assert await connection.fetchval(VALID)


async def test_an_index_that_the_server_still_builds_for_a_killed_migrator_is_waited_for(
    database, release, connection
):
    folder, said = release(first=TABLE, second=INDEX), Said()
    async with holding(database, "update first set n = n where n = 1"):
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATOR, database, folder)
        await eventually(lambda: connection.fetchval(BUILDING), WITHIN_S)
        killed.kill()
        await killed.wait()
        migrating = asyncio.create_task(migrate(database, folder, say=said))
        await said.heard("still building first_n")
    assert await migrating == ["0002_second"]
    assert await connection.fetchval(VALID)


async def test_a_file_that_needs_no_transaction_and_fails_is_run_again(database, release, connection):
    await connection.execute("insert into first values (1)")
    unique = INDEX.replace("create index", "create unique index")
    with pytest.raises(MigrationError, match="0002_second failed"):
        await migrate(database, release(first=TABLE, second=unique))
    await connection.execute("delete from first where n = 1")
    assert await migrate(database, release(first=TABLE, second=unique)) == ["0002_second"]
    assert await connection.fetchval(VALID)
