"""A database restored from a backup of hours ago, as docs/operations.md says: what it costs each user."""

import asyncio
from dataclasses import dataclass

import asyncpg
import pytest
import redis.asyncio as redis

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.deploy.pages import ROOT, commands, section, shell
from tests.support.environment import environment
from tests.support.stack import SCALED, running_broker
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(240)

# What the broker calls the client that the sandbox knows by this id.
CLIENT, CLIENT_ID = "default", "client-1"
CONFIG = SandboxConfig(clients=(SandboxClient(CLIENT_ID, environment()["X_CAL_SECRET_KEY"]),), lifetime_s=360)
ASK, WAIT = [f"page-{n}" for n in range(6)], [f"idle-{n}" for n in range(6)]
EVERYBODY = [*ASK, *WAIT]
HOURS_PASSED = """
    UPDATE grants SET issued_at = issued_at - age, expires_at = expires_at - age,
        refresh_at = refresh_at - age, due_at = refresh_at - age
    FROM (SELECT interval '2 hours' AS age) passed
"""
ADMIN = f"{environment()['TOKEN_BROKER_API_KEYS']}:users:read+users:write+tokens:read+vouch+admin"
MAKE = """
createdb --maintenance-db="${database%/*}/postgres" broker
TOKEN_BROKER_DATABASE_URL="$database" token-broker migrate
"""


class Disaster:
    """A broker whose database is dumped, goes on, and is then set back to the dump."""

    def __init__(self, servers, upstream, folder):
        self.sandbox = upstream.sandbox
        self.folder = folder
        self.database = servers.postgres.url.rsplit("/", 1)[0] + "/broker"
        self.redis_url = servers.valkey.url
        self.dump, self._restore = commands(section("PostgreSQL: backup and restore"), "test_restore.py")
        self._upstream = upstream

    def broker(self):
        return running_broker(
            self._upstream,
            environment(
                DATABASE_URL=self.database, REDIS_URL=self.redis_url, CAL_API_URL=self._upstream.url,
                API_KEYS=ADMIN, ACCESS_TOKEN_LIFETIME="360s", USER_ROTATIONS="0",
                PUBLIC_ADDRESS="127.0.0.1:0",
                INTERNAL_ADDRESS="127.0.0.1:0", OBSERVE_ADDRESS="127.0.0.1:0", **SCALED,
            ),
        )  # fmt: skip

    def shell(self, script):
        shell(script, self.folder, database=self.database)

    async def restore(self):
        """Restore the dump, two hours later: nothing that was handed out lives, and Redis has forgotten."""
        self.shell(self._restore)
        self.database = self.database.rsplit("/", 1)[0] + "/broker_restored"
        await self.sql(HOURS_PASSED)
        for user in self.sandbox.users(CLIENT_ID):
            self.sandbox.expire(user.id)
        async with redis.from_url(self.redis_url) as client:
            await client.flushall()
        self.sandbox.journal.clear()

    async def sql(self, statement):
        connection = await asyncpg.connect(self.database)
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    async def generations(self):
        rows = await self.sql("SELECT user_id, generation FROM grants")
        return {row["user_id"]: row["generation"] for row in rows}

    async def all_used(self):
        used = await self.sql("SELECT FROM grants WHERE first_used_at IS NOT NULL")
        return len(used) == len(EVERYBODY)

    async def all_above(self, lost):
        now = await self.generations()
        return all(now[name] > lost[name] for name in EVERYBODY)

    def users_but(self, late):
        return sorted(user.id for user in self.sandbox.users(CLIENT_ID) if user.id != late)

    def calls(self, route):
        return sorted(entry.user_id for entry in self.sandbox.journal if entry.route == route)


@pytest.fixture
async def disaster(own_servers, tmp_path):
    async with serve(CONFIG) as upstream:
        disaster = Disaster(own_servers, upstream, tmp_path)
        disaster.shell(MAKE)
        yield disaster


@dataclass
class Past:
    """The tokens that everybody held when the dump was made, and what came after it."""

    held: dict
    after: dict
    generations: dict
    late: dict


async def lived_through(disaster):
    """Everybody holds a token when the dump is made and a newer one after it; somebody comes late."""
    async with disaster.broker() as stack:
        await asyncio.gather(*(stack.create_user(CLIENT, name) for name in EVERYBODY))
        held = await asyncio.gather(*(stack.token(CLIENT, name) for name in EVERYBODY))
        await eventually(disaster.all_used, within_s=20)
        disaster.shell(disaster.dump)
        after = await asyncio.gather(*(stack.rotate(CLIENT, name) for name in EVERYBODY))
        generations, late = await disaster.generations(), await stack.create_user(CLIENT, "late")
    return Past(_tokens(held), _tokens(after), generations, late)


def _tokens(given):
    return {name: one["accessToken"] for name, one in zip(EVERYBODY, given, strict=True)}


async def page(stack, token):
    headers = {"Authorization": f"Bearer {token}"}
    async with stack.http.get(f"{stack.public_url}/refresh", headers=headers) as answer:
        return answer.status


async def test_every_user_is_good_again_for_one_force_and_no_generation_is_used_twice(disaster):
    past = await lived_through(disaster)
    await disaster.restore()
    async with disaster.broker() as stack:
        pages = [page(stack, past.held[name]) for name in ASK]
        assert await asyncio.gather(*pages) == [200] * len(ASK)
        await eventually(lambda: disaster.all_above(past.generations), within_s=60, every_s=0.2)
        given = await asyncio.gather(*(stack.token(CLIENT, name) for name in EVERYBODY))
    everybody = disaster.users_but(past.late["calUserId"])
    assert all(disaster.sandbox.is_live(one["accessToken"]) for one in given)
    assert disaster.calls("force") == everybody
    assert sorted(set(disaster.calls("refresh"))) == everybody


async def test_what_the_backup_knows_nothing_of_comes_back_through_the_app(disaster):
    past = await lived_through(disaster)
    await disaster.restore()
    late = {"id": "late", "email": past.late["email"], "name": "Late"}
    recover = {"calUserId": past.late["calUserId"], "email": past.late["email"], "recover": True}
    async with disaster.broker() as stack:
        assert await page(stack, past.after[ASK[0]]) == 401
        assert await page(stack, (await stack.token(CLIENT, ASK[0]))["accessToken"]) == 200
        problem = await stack.call("POST", "/v1/users", CLIENT, json=late, status=(409,))
        assert problem["code"] == "exists_upstream"
        await stack.call("PUT", "/v1/users/late/tokens", CLIENT, json=recover)
        assert disaster.sandbox.is_live((await stack.token(CLIENT, "late"))["accessToken"])


ROLES = """
restored="${database%/*}/roles_restored" as_migrator=postgresql://token_broker_migrator:m@${database#*@}
psql -q "$database" -f "$roles" -c "ALTER ROLE token_broker_migrator PASSWORD 'm'" \\
    -c "ALTER ROLE token_broker PASSWORD 't'"
TOKEN_BROKER_DATABASE_URL="$as_migrator" token-broker migrate
pg_dump --format=custom --file=roles.dump "$as_migrator"
createdb --maintenance-db="$database" roles_restored
psql -q "$restored" -f "$roles"
pg_restore --no-owner --exit-on-error --dbname="${as_migrator%/*}/roles_restored" roles.dump
psql -tA "postgresql://token_broker:t@${restored#*@}" \\
    -c "SELECT count(*) FROM grants" -c "SELECT lineage_make_day('2099-01-01')"
"""


def test_restored_by_the_role_that_migrates_it_serves_the_role_that_owns_nothing(own_servers, tmp_path):
    database = own_servers.postgres.url.rsplit("/", 1)[0] + "/roles"
    make = f'createdb --maintenance-db="{own_servers.postgres.url}" roles\n'
    said = shell(make + ROLES, tmp_path, database=database, roles=str(ROOT / "sql" / "roles" / "roles.sql"))
    assert said.splitlines()[-2:] == ["0", "t"]
