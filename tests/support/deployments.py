"""A deployment for the doctor to look at: stores, the two roles, the strict stand-in, and what ails it.

async with deployed(databases, valkey) as deployment:
    findings = await deployment.examined(WORKERS="20")
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.calcom import Sandbox, SandboxClient, SandboxConfig
from sandbox.calcom.serving import app_of
from service.adapters.vault import Vault
from service.broker.model import UserKey
from service.doctor.command import examine
from service.doctor.findings import State
from service.settings import inspect_settings
from sql.migrate import migrate
from tests.support.environment import environment, key_of
from tests.support.roles import two_roles
from tests.support.stored import open_stores

CLIENT = SandboxClient("client-1", "hush-of-client-1")
AWAY = "127.0.0.1:1"
"""An address on which nothing listens."""
OURS = ("e1", b"e" * 32)
"""The key of ENCRYPTION_KEYS."""


def this_time():
    """This machine's clock."""
    return datetime.now(UTC)


@dataclass
class Deployment:
    """What an operator has set up: an environment, and the things it names."""

    url: str
    """The database, for its administrator."""
    env: dict
    sandbox: Sandbox
    answers: dict = field(default_factory=dict)
    """Headers that upstream's answers have in place of its own."""

    async def examined(self, *, role="serve", wall=this_time, within_s=15.0, **changes):
        """What the doctor finds here; `changes` are settings."""
        named = {
            name if name.startswith(("CAL_", "X_")) else f"TOKEN_BROKER_{name}": value
            for name, value in changes.items()
        }
        env = {name: value for name, value in (self.env | named).items() if value is not None}
        return await examine(*inspect_settings(env, role=role), within_s, wall)

    def filled(self, changes):
        """Settings with the places of this deployment in them: `{redis}`, `{upstream}`."""
        places = {
            "redis": urlsplit(self.env["TOKEN_BROKER_REDIS_URL"]).netloc.rpartition("@")[2],
            "upstream": self.env["CAL_API_URL"].removesuffix("/v2"),
        }
        return {name: value.format(**places) for name, value in changes.items()}

    async def sql(self, *statements):
        """Have the administrator do something to the database."""
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement.replace("<db>", urlsplit(self.url).path[1:]))
        finally:
            await connection.close()

    async def rows(self):
        """Every row of users and grants, and where each stands in its file: an update moves it."""
        connection = await asyncpg.connect(self.url)
        try:
            return [
                await connection.fetch(f"SELECT ctid, xmin, * FROM {table}") for table in ("users", "grants")
            ]
        finally:
            await connection.close()

    async def redis(self, *command):
        """Have an administrator order Redis something."""
        async with redis.asyncio.Redis.from_url(self.env["TOKEN_BROKER_REDIS_URL"]) as admin:
            await admin.execute_command(*command)

    async def users(self, key, *names, client="default", due_in=timedelta(hours=1)):
        """Have pairs of users stored, sealed with this key."""
        ends = {"due_at": this_time() + due_in, "counts_until": this_time() + timedelta(days=1)}
        async with open_stores(self.url, vault=Vault([key])) as stores:
            for name in names:
                await stores.link(UserKey(client, name), name, **ends)


@asynccontextmanager
async def deployed(url, redis_url):
    """Set one up in an empty database: nothing is wrong with it."""
    migrator_url, app_url = await two_roles(url)
    await migrate(migrator_url)
    sandbox = Sandbox(SandboxConfig(clients=(CLIENT,)))
    env = environment(
        DATABASE_URL=app_url,
        REDIS_URL=redis_url,
        TRUSTED_PROXIES="127.0.0.1",
        ENCRYPTION_KEYS=f"e1:{key_of('e')}",
        **dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0"),
    )
    deployment = Deployment(url, env, sandbox)
    app = app_of(sandbox)

    async def stamp(_, response: web.StreamResponse):
        response.headers.update(deployment.answers)

    app.on_response_prepare.append(stamp)
    async with TestServer(app) as server:
        env["CAL_API_URL"] = str(server.make_url("/v2"))
        yield deployment


def told(findings, check):
    """The one finding of this check that is not fine."""
    [found] = [one for one in findings if one.check == check and one.state is not State.FINE]
    return found
