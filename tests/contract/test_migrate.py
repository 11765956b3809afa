"""The runner against a real PostgreSQL, with migrations of the tests' own."""

import asyncio
import os
import sys
from itertools import chain

import asyncpg
import pytest

from sql.migrate import MigrationError, migrate, pending

MIGRATOR = """
import asyncio, pathlib, sys
from sql.migrate import migrate
asyncio.run(migrate(sys.argv[1], pathlib.Path(sys.argv[2])))
"""
FIRST = "create table first (n integer)"
SECOND = "create table second (n integer)"


@pytest.fixture
async def connection(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def gate(server_folder):
    """A named pipe that the server can open."""
    path = server_folder / "gate"
    os.mkfifo(path)
    path.chmod(0o666)
    return path


async def tables(connection):
    rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows} - {"schema_migrations"}


async def test_files_are_applied_once_in_their_order(empty_database_url, release):
    folder = release(first=FIRST, second="alter table first add column m integer")
    assert await migrate(empty_database_url, folder) == ["0001_first", "0002_second"]
    assert await migrate(empty_database_url, folder) == []


async def test_a_file_may_hold_several_statements(empty_database_url, release, connection):
    await migrate(empty_database_url, release(both=f"{FIRST}; {SECOND};"))
    assert await tables(connection) == {"first", "second"}


async def test_this_release_brings_a_database_up_to_date(database_url):
    assert await pending(database_url) == []


async def test_pending_names_what_is_missing_and_changes_nothing(empty_database_url, release, connection):
    folder = release(first=FIRST, second=SECOND)
    assert await pending(empty_database_url, folder) == ["0001_first", "0002_second"]
    assert not await connection.fetchval("select to_regclass('schema_migrations') is not null")


async def test_many_migrators_at_once_apply_each_file_once(empty_database_url, release):
    slow = "; select pg_sleep(0.05)"  # widens the race
    folder = release(first=FIRST + slow, second=SECOND + slow, third="create table third ()" + slow)
    applied = await asyncio.gather(*(migrate(empty_database_url, folder) for _ in range(6)))
    assert sorted(chain(*applied)) == ["0001_first", "0002_second", "0003_third"]


async def test_a_migrator_killed_in_the_middle_is_followed_by_the_next(
    empty_database_url, release, connection, gate
):
    reached = f"copy (select 'reached') to '{gate}'; select pg_advisory_xact_lock(1)"
    folder = release(first=FIRST, second=f"{SECOND}; {reached}")
    await connection.execute("select pg_advisory_lock(1)")
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATOR, empty_database_url, folder)
    assert await asyncio.to_thread(gate.read_text) == "reached\n"
    killed.kill()
    await killed.wait()
    assert await tables(connection) == {"first"}
    await connection.execute("select pg_advisory_unlock(1)")

    drain = asyncio.create_task(asyncio.to_thread(gate.read_text))
    assert await migrate(empty_database_url, folder) == ["0002_second"]
    assert await drain == "reached\n"


async def test_a_file_that_fails_leaves_nothing_and_names_the_line(empty_database_url, release, connection):
    folder = release(first=FIRST, second=f"{SECOND};\nselect nonsense")
    with pytest.raises(
        MigrationError, match=r'0002_second failed in line 2: column "nonsense" does not exist'
    ):
        await migrate(empty_database_url, folder)
    assert await tables(connection) == {"first"}


async def test_a_corrected_file_is_applied_by_the_next_run(empty_database_url, release):
    with pytest.raises(MigrationError):
        await migrate(empty_database_url, release(first=FIRST, second="nonsense"))
    assert await migrate(empty_database_url, release(first=FIRST, second=SECOND)) == ["0002_second"]


@pytest.mark.parametrize("ask", [migrate, pending])
async def test_a_file_changed_after_it_was_applied_is_refused(empty_database_url, release, ask):
    await migrate(empty_database_url, release(first=FIRST))
    with pytest.raises(MigrationError, match="0001_first has changed since it was applied"):
        await ask(empty_database_url, release(first=FIRST + " "))


async def of_newer_release(url, release, name):
    """Have a newer release migrate the database; gives the folder of this one."""
    folder = release(first=FIRST, **{name: SECOND})
    await migrate(url, folder)
    (folder / f"0002_{name}.sql").unlink()
    return folder


@pytest.mark.parametrize("ask", [migrate, pending])
@pytest.mark.parametrize("name", ["second", "contract_0001_second"])
async def test_a_database_that_a_newer_release_expanded_needs_nothing(empty_database_url, release, ask, name):
    folder = await of_newer_release(empty_database_url, release, name)
    assert await ask(empty_database_url, folder) == []


@pytest.mark.parametrize("ask", [migrate, pending])
async def test_a_database_that_lacks_what_this_release_uses_is_refused(empty_database_url, release, ask):
    folder = await of_newer_release(empty_database_url, release, "contract_0002_second")
    with pytest.raises(
        MigrationError, match="took away what this release still uses: run a release that has"
    ):
        await ask(empty_database_url, folder)


async def test_a_database_with_another_file_of_the_number_is_refused(empty_database_url, release):
    folder = release(first=FIRST, second=SECOND)
    await migrate(empty_database_url, folder)
    (folder / "0002_second.sql").rename(folder / "0003_third.sql")
    with pytest.raises(MigrationError, match="0002_second, and this release has none of that number"):
        await migrate(empty_database_url, folder)


async def test_a_contract_must_say_who_still_needs_what_it_takes_away(empty_database_url, release):
    with pytest.raises(MigrationError, match=r"0001_contract_drop\.sql must say from which migration on"):
        await migrate(empty_database_url, release(contract_drop=SECOND))


async def test_a_file_that_comes_too_late_is_refused(empty_database_url, release, connection):
    folder = release(first=FIRST, second=SECOND)
    (folder / "0002_second.sql").rename(folder / "0003_second.sql")
    await migrate(empty_database_url, folder)
    (folder / "0002_late.sql").write_text("create table late ()")
    with pytest.raises(MigrationError, match="0002_late comes before migration 3"):
        await migrate(empty_database_url, folder)
    assert "late" not in await tables(connection)


async def test_two_files_of_one_number_are_refused(empty_database_url, release):
    folder = release(first=FIRST)
    (folder / "0001_twin.sql").write_text(SECOND)
    with pytest.raises(MigrationError, match="0001_first and 0001_twin have the same number"):
        await migrate(empty_database_url, folder)


async def test_a_file_without_a_number_is_refused(empty_database_url, release):
    folder = release(first=FIRST)
    (folder / "fix.sql").write_text(SECOND)
    with pytest.raises(MigrationError, match=r"fix\.sql is no name of a migration"):
        await migrate(empty_database_url, folder)


CONTRACTED = {"first": FIRST, "second": SECOND, "contract_0002_third": "drop table first"}


async def test_what_a_running_release_may_still_use_is_not_taken_away(
    empty_database_url, release, connection
):
    await migrate(empty_database_url, release(first=FIRST))
    with pytest.raises(
        MigrationError, match=r"0003_contract_0002_third takes away .* one of them may be serving"
    ):
        await migrate(empty_database_url, release(**CONTRACTED))
    assert await tables(connection) == {"first", "second"}


async def test_it_is_by_the_upgrade_after_that(empty_database_url, release, connection):
    await migrate(empty_database_url, release(first=FIRST, second=SECOND))
    assert await migrate(empty_database_url, release(**CONTRACTED)) == ["0003_contract_0002_third"]
    assert await tables(connection) == {"second"}


async def test_it_is_where_every_process_is_stopped_and_in_a_new_database(
    empty_database_url, release, databases
):
    await migrate(empty_database_url, release(first=FIRST))
    folder = release(**CONTRACTED)
    assert len(await migrate(empty_database_url, folder, stopped=True)) == 2
    with databases.empty() as new:
        assert len(await migrate(new, folder)) == 3
