"""Service and worker under a role that may read and write rows, and nothing else."""

from datetime import timedelta

import asyncpg
import pytest

from service.broker.imports import Fate, Order
from service.broker.model import ProfileChange
from service.rewrap import rewrap
from service.settings import load_settings
from service.settings.grammar import parse_rate
from sql.migrate import migrate
from tests.support.environment import environment, key_of
from tests.support.roles import APP, two_roles
from tests.support.world import open_world
from worker.jobs import Jobs

RIGHTS = """
    SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
    FROM information_schema.role_table_grants WHERE grantee = $1 AND table_schema = 'public' GROUP BY 1
"""
ROWS = "DELETE INSERT SELECT UPDATE"
DAYS = "SELECT count(*) AS n FROM pg_inherits WHERE inhparent = 'lineage'::regclass"
FORBIDDEN = {
    "a new table": "CREATE TABLE mine ()",
    "a changed table": "ALTER TABLE grants ADD COLUMN mine text",
    "a dropped day": "DROP TABLE lineage_rest",
    "an emptied table": "TRUNCATE events",
    "the history": "DELETE FROM schema_migrations",
    "a trigger": "CREATE TRIGGER mine AFTER UPDATE ON grants EXECUTE FUNCTION lineage_make_day()",
    "what is temporary": "CREATE TEMPORARY TABLE lineage_rest ()",
}


@pytest.fixture
async def app_url(empty_database_url):
    """The app role's address of a database that the other role has migrated."""
    migrator_url, app_url = await two_roles(empty_database_url)
    await migrate(migrator_url)
    return app_url


@pytest.fixture
async def world(app_url, redis_url, tmp_path):
    async with open_world(app_url, redis_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def connection(app_url):
    connection = await asyncpg.connect(app_url)
    yield connection
    connection.terminate()


async def test_what_stands_can_be_sealed_anew(world, app_url):
    await world.user()
    (row,) = await world.sql("SELECT key_id FROM grants")
    ring = f"new:{key_of('n')},{row['key_id']}:{key_of('e')}"
    settings = load_settings(environment(DATABASE_URL=app_url, ENCRYPTION_KEYS=ring), role="rewrap")
    assert await rewrap(settings, parse_rate("100/s"), dry_run=False, as_json=False) == 0
    assert [row["key_id"] for row in await world.sql("SELECT key_id FROM grants")] == ["new"]


async def test_everything_that_is_done_about_users_can_be_done(world):
    anna = await world.user()
    await world.later(hours=2)
    token = await world.browser(await anna.token())
    forced = await anna.rotate(force=True)
    assert token != forced
    await world.broker.users.change(anna.key, ProfileChange({"name": "Ann"}), actor="test")
    bert, enrolment = world.seed("bert")
    await world.enrol(bert, enrolment)
    carl, pair = world.seed("carl")
    [told] = await world.broker.imports.take("default", [(carl.key, pair)], Order("test"))
    assert told.fate is Fate.IMPORTED
    await world.broker.users.delete(anna.key, actor="test")
    assert await anna.grant() is None


async def test_the_worker_refreshes_ahead_of_time(world):
    anna = await world.user()
    await anna.token()
    await world.later(minutes=52)
    await world.sweep()
    assert anna.calls("refresh") == ["refresh"]


async def test_the_worker_makes_and_drops_the_days_of_the_lineage(world):
    await world.broker.upkeep.prepare_partitions(world.broker.clock() - timedelta(days=30))
    broker, kept = world.broker, timedelta(days=7)
    jobs = Jobs(broker.sweeps, broker.upkeep, ("default",), broker.clock, world.notes, kept)
    await jobs.upkeep({})
    assert (await world.sql(DAYS))[0]["n"] == 10
    assert (await world.sql(DAYS.replace("lineage", "audit_events")))[0]["n"] == 10
    assert len(world.heard("gauges")) == 1
    assert world.heard("worker.upkeep_failed") == []


async def test_it_may_read_and_write_rows_and_nothing_else(world, connection):
    await world.broker.upkeep.prepare_partitions(world.broker.clock())
    rights = dict(await connection.fetch(RIGHTS, APP))
    assert rights.pop("schema_migrations") == "SELECT"
    assert rights.keys() > {
        "users",
        "grants",
        "lineage",
        "lineage_rest",
        "events",
        "audit_events",
        "audit_events_rest",
    }
    assert set(rights.values()) == {ROWS}


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_it_may_not_have(connection, what):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(FORBIDDEN[what])


async def test_a_day_that_is_not_over_is_not_dropped_whatever_the_caller_says(world, connection):
    await world.broker.upkeep.prepare_partitions(world.broker.clock())
    for ahead in range(9):
        assert not await connection.fetchval("SELECT lineage_drop_day(current_date + $1::int)", ahead)
        assert not await connection.fetchval(
            "SELECT audit_events_drop_day(current_date + $1::int)", ahead - 1
        )


@pytest.mark.parametrize(
    ("limit", "most_s"),
    [("statement_timeout", 2), ("lock_timeout", 1), ("idle_in_transaction_session_timeout", 5)],
)
async def test_the_server_gives_up_before_the_broker_does(world, connection, limit, most_s):
    shown = await connection.fetchval("SELECT extract(epoch FROM current_setting($1)::interval)", limit)
    assert shown == most_s
    patience_s = load_settings(environment()).database_timeout.total_seconds()
    assert most_s < patience_s or limit.startswith("idle")


async def test_the_history_is_taken_from_everybody_too(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")

    await migrate(empty_database_url)

    given = "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC'"
    left = await connection.fetch(f"{given} AND table_name = 'schema_migrations'")
    await connection.close()
    assert not {"INSERT", "UPDATE", "DELETE"} & {row["privilege_type"] for row in left}
