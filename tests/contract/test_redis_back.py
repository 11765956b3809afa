"""A Redis that fails under our feet and comes back: what it costs, what is said, what is made up for."""

import os
import signal

import pytest
import redis.asyncio

from sandbox.embedded import Valkey
from tests.support.cached import ANNA, a_token, presented
from tests.support.outages import QUESTIONS, WRITES, ask, in_time, process_of
from tests.support.waiting import eventually


@pytest.fixture
def own_valkey(server_folder):
    """A Valkey of this test's own."""
    server = Valkey(server_folder, options={"appendonly": "no"})
    server.start()
    yield server
    os.kill(server.pid, signal.SIGCONT) if server.running else None
    server.stop()


async def comes_back(process):
    await eventually(process.link.ping)
    await process.cache.put(a_token(process.world.clock, generation=9))
    await eventually(lambda: process.cache.block(ANNA, 8))
    assert process.link.health.well
    changes = [event for event in process.world.notes.events() if event.startswith("dependency.")]
    assert changes == ["dependency.down", "dependency.up"]


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_server_that_is_stopped_in_its_tracks_costs_a_quarter_of_a_second(own_valkey, name):
    async with process_of(own_valkey.url) as process:
        await process.link.ping()
        os.kill(own_valkey.pid, signal.SIGSTOP)
        await ask(process, name)


async def test_a_server_that_was_stopped_is_used_again(own_valkey):
    async with process_of(own_valkey.url) as process:
        assert await process.link.ping()
        os.kill(own_valkey.pid, signal.SIGSTOP)
        await ask(process, "find")
        os.kill(own_valkey.pid, signal.SIGCONT)
        await comes_back(process)


async def test_a_server_that_was_killed_is_used_again(own_valkey):
    async with process_of(own_valkey.url) as process:
        assert await process.link.ping()
        own_valkey.kill()
        await ask(process, "find")
        own_valkey.start()
        await comes_back(process)


async def test_a_restart_between_two_questions_is_not_even_noticed(own_valkey):
    async with process_of(own_valkey.url) as process:
        await process.cache.put(a_token(process.world.clock))
        own_valkey.restart()
        await process.cache.put(a_token(process.world.clock))
        process.world.clock.advance(1)
        assert (await process.cache.current(ANNA)).source == "redis"
        assert process.world.notes.heard == []


@pytest.fixture
async def admin(own_valkey):
    async with redis.asyncio.Redis.from_url(own_valkey.url) as opened:
        yield opened


@pytest.mark.parametrize("mode", ["WRITE", "ALL"])
async def test_paused_clients_cost_a_quarter_of_a_second(own_valkey, admin, mode):
    async with process_of(own_valkey.url) as process:
        await process.link.ping()
        await admin.execute_command("CLIENT", "PAUSE", 600, mode)
        for name in ("block", "put", "lease", "take"):
            await ask(process, name)
        await comes_back(process)


@pytest.fixture(params=["read-only", "full"])
async def refusing(request, admin):
    """Makes the server refuse writes; what it is said to suffer from, and what heals it."""
    if request.param == "full":
        yield "full", lambda: admin.config_set("maxmemory", 1), lambda: admin.config_set("maxmemory", 0)
    else:
        yield "read_only", lambda: admin.replicaof("127.0.0.1", "1"), lambda: admin.replicaof("NO", "ONE")


async def test_a_server_that_takes_no_writes_still_answers_what_it_knows(own_valkey, refusing):
    reason, break_it, _ = refusing
    async with process_of(own_valkey.url) as process:
        await process.cache.put(a_token(process.world.clock), [presented(process.world.clock)])
        await break_it()
        await process.cache.note_confirmed(ANNA, 1, 30)
        process.world.clock.advance(1)
        assert (await in_time(process.cache.current(ANNA))).source == "redis"
        assert process.world.notes.heard[0][2]["reason"] == reason


async def test_a_server_that_takes_no_writes_is_said_to_be_down_until_it_does(own_valkey, refusing):
    _, break_it, heal = refusing
    async with process_of(own_valkey.url) as process:
        await process.link.ping()
        await break_it()
        for name in ["put", "find", "lease", "take", "find", "note_confirmed", "current"]:
            await ask(process, name)
        assert process.world.notes.events() == ["dependency.down"]
        await heal()
        await comes_back(process)


@pytest.mark.parametrize("name", WRITES)
async def test_a_read_only_server_grants_nothing(own_valkey, admin, name):
    async with process_of(own_valkey.url) as process:
        await admin.replicaof("127.0.0.1", "1")
        await ask(process, name)


async def test_a_block_that_redis_could_not_do_is_done_when_it_is_back(own_valkey, admin):
    async with process_of(own_valkey.url) as process:
        here, there, clock = process.cache, process.world.cache(), process.world.clock
        await here.put(a_token(clock), [presented(clock)])
        await admin.replicaof("127.0.0.1", "1")
        assert await here.block(ANNA, 1) is False
        assert await here.find([presented(clock)[0]]) is None
        await admin.replicaof("NO", "ONE")

        async def others_have_heard():
            clock.advance(1)
            return await there.current(ANNA) is None

        await eventually(others_have_heard)


async def test_a_confirmation_from_before_a_block_is_not_believed_while_the_block_is_owed(own_valkey, admin):
    async with process_of(own_valkey.url) as process:
        await process.cache.note_confirmed(ANNA, 1, 60)
        await admin.replicaof("127.0.0.1", "1")
        assert await process.cache.block(ANNA, 1) is False
        assert not await process.cache.recently_confirmed(ANNA, 1)


async def test_a_block_that_a_request_could_not_wait_for_is_done_all_the_same(own_valkey):
    async with process_of(own_valkey.url) as process:
        here, there, clock = process.cache, process.world.cache(), process.world.clock
        await here.put(a_token(clock), [presented(clock)])
        process.link.begin_request()
        os.kill(own_valkey.pid, signal.SIGSTOP)
        assert await here.block(ANNA, 1) is False
        os.kill(own_valkey.pid, signal.SIGCONT)

        async def others_have_heard():
            clock.advance(1)
            return await there.current(ANNA) is None

        await eventually(others_have_heard)
