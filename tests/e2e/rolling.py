"""Two services and two workers under load, each replaced while refresh tokens are being presented."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from sandbox.calcom import Sandbox, SandboxClient, SandboxConfig, serve
from tests.e2e.callers import Callers, Heard, calling, create_user
from tests.e2e.replicas import Replica
from tests.support.environment import environment

CLIENT = SandboxClient("rolling", "secret")
COMMANDS = ("serve", "work")
USERS = 24
SELDOM_ASKED_FOR = 16
"""So many users' pairs are replaced by the worker, before anybody asks."""
LIFETIME_S = 10
UPSTREAM_TAKES_AT_MOST_S = 2.5
UNDER_WAY = 14
GRACE_S = 30
PATIENT = {
    "UPSTREAM_TIMEOUT": "8s", "DATABASE_TIMEOUT": "3s", "LEASE_TTL": "12s", "CLAIM_DEADLINE": "12s",
    "ANSWER_TIMEOUT": "18s", "PUBLIC_ANSWER_TIMEOUT": "24s", "DRAIN": "26s", "GRACE": f"{GRACE_S}s",
    "USER_ROTATIONS": "0", "UPSTREAM_RATE": "6000/min",
}  # fmt: skip


def variables(database_url, redis_url, upstream, changes):
    given = {
        "DATABASE_URL": database_url, "REDIS_URL": redis_url, "CAL_API_URL": upstream.url,
        "CAL_OAUTH_CLIENT_ID": CLIENT.id, "X_CAL_SECRET_KEY": CLIENT.secret,
        "ACCESS_TOKEN_LIFETIME": f"{LIFETIME_S}s", **PATIENT,
    }  # fmt: skip
    return environment(**given | changes)


@dataclass
class Rolled:
    """What came of it: what callers heard, what upstream did, and how each process of a kind ended."""

    heard: Heard
    rotations: int
    forced: int
    lost: int
    ended: dict

    def carried_over(self, command):
        """How many rotations the processes of this command finished after they were told to end."""
        return sum(farewell.carried_over for farewell in self.ended[command])

    @property
    def codes(self):
        """The exit code of each process that was replaced."""
        return [farewell.code for ended in self.ended.values() for farewell in ended]


@dataclass
class Town:
    """The processes, the world outside and everybody who asks."""

    sandbox: Sandbox
    services: list
    workers: list
    callers: Callers
    tokens: dict
    database_url: str

    def everybody(self, often_s=0.4):
        """A page and a service of each user, some of which ask every `often_s` seconds."""
        for number, (user_id, token) in enumerate(self.tokens.items()):
            seldom = number < SELDOM_ASKED_FOR
            yield self.callers.serve(user_id, every_s=3.0 if seldom else often_s)
            if not seldom:
                yield self.callers.browse(token)

    async def replace(self, number, under_way=UNDER_WAY, **by):
        """Replace this service and this worker, told to end in the middle of about so many rotations."""
        replicas = self.services[number], self.workers[number]
        await self._end_in_mid_rotation(replicas, under_way)
        await asyncio.gather(*(replica.replace(**by) for replica in replicas))

    async def _end_in_mid_rotation(self, replicas, under_way):
        """Tell them to end while refresh tokens are being presented; what upstream answers comes after."""
        with self.sandbox.gate("refresh") as gate:
            with suppress(TimeoutError):
                await gate.arrived(under_way, timeout_s=4)
            for replica in replicas:
                replica.tell_to_end()

    async def rolled(self):
        """Return what came of it all, once every process has ended."""
        counts = self.sandbox.counts()
        issued = sum(entry.issued_access is not None for entry in self.sandbox.journal)
        ended = [[one for each in kind for one in each.replaced] for kind in (self.services, self.workers)]
        return Rolled(
            heard=self.callers.heard,
            rotations=counts["refresh"],
            forced=counts.get("force", 0),
            lost=issued - await stored_in(self.database_url),
            ended=dict(zip(COMMANDS, ended, strict=True)),
        )


@asynccontextmanager
async def town(database_url, redis_url, **changes):
    """Open a town on a migrated database, its users created and their first tokens handed out.

    `changes` are settings of its processes.
    """
    async with AsyncExitStack() as stack:
        config = SandboxConfig((CLIENT,), lifetime_s=LIFETIME_S, throttle=False)
        upstream = await stack.enter_async_context(serve(config))
        upstream.sandbox.fault("delay_after", "refresh", delay_s=0.2, delay_to_s=UPSTREAM_TAKES_AT_MOST_S)
        env = variables(database_url, redis_url, upstream, changes)
        services, workers = ([Replica(command, env, GRACE_S) for _ in range(2)] for command in COMMANDS)
        replicas = (*services, *workers)
        await asyncio.gather(*(stack.enter_async_context(replica) for replica in replicas))
        callers = await stack.enter_async_context(calling(services, upstream.sandbox.is_live))
        names = [f"u{number}" for number in range(USERS)]
        for name in names:
            await create_user(services[0].internal, name)
        tokens = {name: await callers.token(name) for name in names}
        yield Town(upstream.sandbox, services, workers, callers, tokens, database_url)


async def stored_in(database_url):
    """Return how many pairs were ever stored: each is committed together with its line in the lineage."""
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval("SELECT count(*) FROM lineage")
    finally:
        await connection.close()
