"""Processes that are told to end while a refresh is under way, and a worker whose Redis goes away."""

import asyncio
import signal

import asyncpg
import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from sql.migrate import migrate
from tests.support.stack import running_stack
from tests.support.waiting import eventually

CLIENT = SandboxClient("acme", "secret")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600)
GRACE_S = 15
DUE = (
    "UPDATE grants SET due_at = clock_timestamp(), refresh_at = clock_timestamp(),"
    " first_used_at = coalesce(first_used_at, clock_timestamp())"
)


class Stage:
    """The whole stack with one user, and a look behind its back."""

    def __init__(self, stack, database_url):
        self.stack = stack
        self._database_url = database_url

    async def sql(self, statement):
        connection = await asyncpg.connect(self._database_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def generation(self):
        return await self.sql("SELECT generation FROM grants")

    async def let_it_be_due(self):
        """Have the worker replace the pair at its next tick; returns the generation that is due."""
        await self.sql(DUE)
        return await self.generation()

    async def replaced(self, generation):
        """Wait until the pair of this generation has been replaced."""

        async def moved():
            return await self.generation() > generation

        await eventually(moved, within_s=30)

    async def end(self, program, observe_url, gate):
        """Tell a process to end, let upstream answer once it says that it drains; returns its exit code."""
        program.process.send_signal(signal.SIGTERM)
        await eventually(lambda: self._drains(observe_url), within_s=10)
        assert program.process.returncode is None
        gate.open()
        async with asyncio.timeout(GRACE_S):
            return await program.process.wait()

    async def _drains(self, observe_url):
        async with self.stack.http.get(f"{observe_url}/readyz") as answer:
            return answer.status == 503

    @property
    def calls(self):
        return [call.route for call in self.stack.sandbox.journal if "." not in call.route]


async def set_up(stack, database_url):
    await stack.create_user(CLIENT.id, "ann")
    await stack.token(CLIENT.id, "ann")
    return Stage(stack, database_url)


@pytest.fixture
async def stage(database_url, redis_url):
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        yield await set_up(stack, database_url)


@pytest.fixture
async def frail_stage(own_servers):
    """The same on a PostgreSQL and a Valkey of its own."""
    url = own_servers.postgres.url
    await migrate(url)
    async with running_stack(url, own_servers.valkey.url, CONFIG) as stack:
        yield await set_up(stack, url)
        own_servers.valkey.start()


async def test_a_service_told_to_end_answers_and_stores_what_is_under_way(stage):
    with stage.stack.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(stage.stack.rotate(CLIENT.id, "ann"))
        await gate.arrived()
        assert await stage.end(stage.stack.service, stage.stack.observe_url, gate) == 0
    assert (await asking)["generation"] == await stage.generation()
    assert stage.stack.sandbox.is_live((await asking)["accessToken"])
    assert stage.calls == ["create", "refresh"]
    assert stage.stack.service.of("service.stopped")[0]["unfinished"] == 0


async def test_a_service_told_to_end_stores_what_nobody_waits_for_any_more(stage):
    before = await stage.generation()
    with stage.stack.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(stage.stack.rotate(CLIENT.id, "ann"))
        await gate.arrived()
        asking.cancel()
        assert await stage.end(stage.stack.service, stage.stack.observe_url, gate) == 0
    assert await stage.generation() > before
    assert stage.calls == ["create", "refresh"]


async def test_a_worker_told_to_end_stores_what_is_under_way(stage):
    observe = stage.stack.worker.of("worker.started")[0]["observe"]
    with stage.stack.sandbox.gate("refresh", "after") as gate:
        due = await stage.let_it_be_due()
        await gate.arrived(timeout_s=30)
        assert await stage.end(stage.stack.worker, f"http://{observe}", gate) == 0
    assert await stage.generation() > due
    assert stage.calls == ["create", "refresh"]
    assert stage.stack.worker.of("worker.stopped")[0]["unfinished"] == 0


async def test_a_worker_outlives_its_redis_and_sweeps_while_it_is_away_and_after(frail_stage, own_servers):
    own_servers.valkey.restart()
    await frail_stage.replaced(await frail_stage.let_it_be_due())
    own_servers.valkey.stop()
    await frail_stage.replaced(await frail_stage.let_it_be_due())
    own_servers.valkey.start()
    await frail_stage.replaced(await frail_stage.let_it_be_due())
    assert frail_stage.stack.worker.process.returncode is None
    assert frail_stage.calls == ["create", "refresh", "refresh", "refresh"]
