"""A worker that is told to end amid a backlog: what was begun ends, what was only claimed is free at once."""

import signal
from contextlib import AsyncExitStack

import aiohttp
import asyncpg

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from service.broker.sweeps import _AT_ONCE
from tests.e2e.overdue import sandbox_of_before, store
from tests.support.environment import environment
from tests.support.programs import token_broker
from tests.support.waiting import eventually
from worker.jobs import MOST_AT_A_SWEEP

CLIENT = SandboxClient("backlog", "secret")
USERS = 300
KEYS = [("e1", b"e" * 32)], [("f1", b"f" * 32)]
CLAIMED = "SELECT count(*) FROM grants WHERE claim_owner IS NOT NULL"
REPLACED = "SELECT count(*) FROM grants WHERE expires_at > clock_timestamp()"


def variables(database_url, redis_url, upstream):
    return environment(
        DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=upstream.url,
        CAL_OAUTH_CLIENT_ID=CLIENT.id, X_CAL_SECRET_KEY=CLIENT.secret, OBSERVE_ADDRESS="127.0.0.1:0",
        UPSTREAM_RATE="100000/min",
    )  # fmt: skip


async def asked(database_url, question):
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def drains(worker):
    """Tell the worker to end, and wait until it has taken note."""
    observe = worker.of("worker.started")[0]["observe"]
    worker.process.send_signal(signal.SIGTERM)
    async with aiohttp.ClientSession() as http:

        async def refuses():
            async with http.get(f"http://{observe}/readyz") as answer:
                return answer.status == 503

        await eventually(refuses, within_s=10)


async def test_what_was_begun_ends_and_what_was_only_claimed_is_free_at_once(database_url, redis_url):
    sandbox, users = sandbox_of_before(SandboxConfig((CLIENT,), throttle=False), USERS)
    await store(users, "default", database_url, KEYS)
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serve(sandbox.config, sandbox=sandbox))
        with sandbox.gate("refresh") as gate:
            env = variables(database_url, redis_url, upstream)
            worker = await stack.enter_async_context(token_broker("work", env))
            await gate.arrived(_AT_ONCE, timeout_s=60)
            assert await asked(database_url, CLAIMED) == MOST_AT_A_SWEEP
            await drains(worker)
        assert await worker.end() == 0
    assert worker.of("worker.stopped")[0]["unfinished"] == 0
    assert len(sandbox.journal.of("refresh")) == _AT_ONCE
    assert await asked(database_url, REPLACED) == _AT_ONCE
    assert await asked(database_url, CLAIMED) == 0
