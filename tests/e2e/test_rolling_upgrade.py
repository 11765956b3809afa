"""An upgrade with a schema migration, and its rollback, under load: nobody notices, and no token is lost."""

import asyncio
from contextlib import asynccontextmanager
from itertools import count

import asyncpg
import pytest

from sql.files import read
from tests.e2e.callers import meanwhile
from tests.e2e.releases import migrating, write_next_release
from tests.e2e.rolling import USERS, town
from tests.support.environment import environment
from tests.support.migration_rules import broken
from tests.support.programs import ROOT
from tests.support.roles import two_roles
from tests.support.waiting import eventually

SETTLED_BY = "SELECT coalesce(settled_by, 'neither') AS release, count(*) AS n FROM grants GROUP BY 1"
PATIENCE_S = 30.0
UNDER_WAY = 8


@asynccontextmanager
async def backup(url):
    """Keep a transaction open that reads what is to be changed, as a dump of the database does."""
    connection = await asyncpg.connect(url, server_settings={"application_name": "backup"})
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM grants")
            yield
    finally:
        await connection.close()


async def migrate_beside_a_backup(url, env, tree):
    """Run the next release's migrations while a backup holds the table for the first of them."""
    async with backup(url):
        running = await migrating(env, tree)
        await eventually(lambda: running.says("a table is held by"), PATIENCE_S)
    return await running.applied()


async def newcomers(callers):
    """Create users, one after another: what takes transactions of several statements."""
    for number in count():
        await callers.create(f"new-{number}")
        await asyncio.sleep(0.5)


def going_on(rolling):
    """Everybody asks, and users are created."""
    return meanwhile(*rolling.everybody(often_s=1.0), newcomers(rolling.callers))


async def replace_both(rolling, tree):
    for number in range(2):
        await rolling.replace(number, UNDER_WAY, tree=tree)


async def settled_by(url):
    """How many grants' pairs each release has settled last."""
    connection = await asyncpg.connect(url)
    try:
        return {row["release"]: row["n"] for row in await connection.fetch(SETTLED_BY)}
    finally:
        await connection.close()


class Upgrade:
    """The rehearsal: from this release to the next and back, on a database with two roles."""

    def __init__(self, url, tree):
        self.url, self.tree = url, tree
        self.names = write_next_release(tree)
        self.applied, self.settled, self.applied_by_old = [], {}, None

    async def rehearse(self, redis_url):
        migrator_url, app_url = await two_roles(self.url)
        env = environment(DATABASE_URL=migrator_url)
        await (await migrating(env)).applied()
        async with town(app_url, redis_url) as rolling, going_on(rolling):
            self.applied = await migrate_beside_a_backup(self.url, env, self.tree)
            await replace_both(rolling, self.tree)
            await eventually(self.next_has_settled, within_s=60, every_s=0.2)
            self.applied_by_old = await (await migrating(env)).applied()
            await replace_both(rolling, ROOT)
        return await rolling.rolled()

    async def next_has_settled(self):
        """Whether the next release has been at work, and not only been started."""
        self.settled = await settled_by(self.url)
        return self.settled.get("next", 0) > 0


@pytest.mark.timeout(300)
async def test_an_upgrade_with_a_migration_and_its_rollback_are_noticed_by_nobody(
    empty_database_url, redis_url, tmp_path, capsys
):
    upgrade = Upgrade(empty_database_url, tmp_path)
    rolled = await upgrade.rehearse(redis_url)

    with capsys.disabled():
        print(f"\nrolling upgrade: {rolled.heard.answers} answers ({rolled.heard.retried} after a retry), "  # noqa: T201
              f"{rolled.rotations} rotations; settled by the next release: {upgrade.settled}")  # fmt: skip
    assert rolled.heard.failures == []
    assert (rolled.lost, rolled.forced) == (0, 0)
    assert rolled.codes == [0] * 8
    assert upgrade.applied == upgrade.names
    assert upgrade.applied_by_old == []
    assert upgrade.settled["next"] > 0
    assert rolled.rotations > 2 * USERS


def test_the_rehearsed_migrations_keep_to_the_rules(tmp_path):
    write_next_release(tmp_path)
    migrations = read(tmp_path / "sql")
    ours = len(read())
    for number in range(ours, len(migrations)):
        assert broken(migrations[:number], migrations[number]) == set()
