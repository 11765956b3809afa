"""Rolling restarts under load: no caller sees one, and no refresh token is lost to one."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import asyncpg
import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.e2e.callers import Heard, calling, create_user, meanwhile
from tests.e2e.replicas import Replica
from tests.support.environment import environment

CLIENT = SandboxClient("rolling", "secret")
COMMANDS = ("serve", "work")
USERS = 24
SELDOM_ASKED_FOR = 16
"""So many users' pairs are replaced by the worker, before anybody asks."""
ROUNDS = 6
EVERY_S = 5.0
LIFETIME_S = 10
UPSTREAM_TAKES_AT_MOST_S = 2.5
UNDER_WAY = 14
GRACE_S = 30
PATIENT = {
    "UPSTREAM_TIMEOUT": "8s", "DATABASE_TIMEOUT": "3s", "LEASE_TTL": "12s", "CLAIM_DEADLINE": "12s",
    "ANSWER_TIMEOUT": "18s", "PUBLIC_ANSWER_TIMEOUT": "24s", "DRAIN": "26s", "GRACE": f"{GRACE_S}s",
    "USER_ROTATIONS": "0", "UPSTREAM_RATE": "6000/min",
}  # fmt: skip


def variables(database_url, redis_url, upstream):
    return environment(
        DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=upstream.url,
        CAL_OAUTH_CLIENT_ID=CLIENT.id, X_CAL_SECRET_KEY=CLIENT.secret,
        ACCESS_TOKEN_LIFETIME=f"{LIFETIME_S}s", **PATIENT,
    )  # fmt: skip


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


async def end_in_mid_rotation(sandbox, replicas):
    """Tell these to end while refresh tokens are being presented; what upstream answers comes after that."""
    with sandbox.gate("refresh") as gate:
        with suppress(TimeoutError):
            await gate.arrived(UNDER_WAY, timeout_s=4)
        for replica in replicas:
            replica.tell_to_end()


async def replace_one_after_another(sandbox, services, workers):
    """Replace a service and a worker every five seconds, each time the others than the time before."""
    loop = asyncio.get_running_loop()
    for number in range(ROUNDS):
        next_at = loop.time() + EVERY_S
        replicas = services[number % 2], workers[number % 2]
        await end_in_mid_rotation(sandbox, replicas)
        await asyncio.gather(*(replica.replace() for replica in replicas))
        await asyncio.sleep(max(0.0, next_at - loop.time()))


def everybody(callers, tokens):
    """A page and a service of each user."""
    for number, (user_id, token) in enumerate(tokens.items()):
        seldom = number < SELDOM_ASKED_FOR
        yield callers.serve(user_id, every_s=3.0 if seldom else 0.4)
        if not seldom:
            yield callers.browse(token)


async def roll(database_url, redis_url):
    async with AsyncExitStack() as stack:
        config = SandboxConfig((CLIENT,), lifetime_s=LIFETIME_S, throttle=False)
        upstream = await stack.enter_async_context(serve(config))
        upstream.sandbox.fault("delay_after", "refresh", delay_s=0.2, delay_to_s=UPSTREAM_TAKES_AT_MOST_S)
        env = variables(database_url, redis_url, upstream)
        services, workers = ([Replica(command, env, GRACE_S) for _ in range(2)] for command in COMMANDS)
        for replica in (*services, *workers):
            await stack.enter_async_context(replica)
        callers = await stack.enter_async_context(calling(services, upstream.sandbox.is_live))
        names = [f"u{number}" for number in range(USERS)]
        for name in names:
            await create_user(services[0].internal, name)
        tokens = {name: await callers.token(name) for name in names}
        async with meanwhile(*everybody(callers, tokens)):
            await replace_one_after_another(upstream.sandbox, services, workers)
    counts = upstream.sandbox.counts()
    issued = sum(entry.issued_access is not None for entry in upstream.sandbox.journal)
    ended = [[one for replica in kind for one in replica.replaced] for kind in (services, workers)]
    return Rolled(
        heard=callers.heard,
        rotations=counts["refresh"],
        forced=counts.get("force", 0),
        lost=issued - await stored_in(database_url),
        ended=dict(zip(COMMANDS, ended, strict=True)),
    )


async def stored_in(database_url):
    """Return how many pairs were ever stored: each is committed together with its line in the lineage."""
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval("SELECT count(*) FROM lineage")
    finally:
        await connection.close()


@pytest.mark.timeout(240)
async def test_no_caller_notices_that_every_process_is_replaced(database_url, redis_url, capsys):
    rolled = await roll(database_url, redis_url)

    carried_over = {command: rolled.carried_over(command) for command in COMMANDS}
    with capsys.disabled():
        print(f"\nrolling restart: {rolled.heard.answers} answers ({rolled.heard.retried} after a retry), "  # noqa: T201
              f"{rolled.rotations} rotations, finished after SIGTERM: {carried_over}")  # fmt: skip
    assert rolled.heard.failures == []
    assert rolled.lost == 0
    assert rolled.forced == 0
    assert [farewell.code for ended in rolled.ended.values() for farewell in ended] == [0] * ROUNDS * 2
    assert rolled.rotations > 2 * USERS
    assert min(carried_over.values()) > 0, "no process was rotating when it was told to end"
