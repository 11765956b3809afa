"""Without a working Redis: nothing raises, nothing takes longer than a quarter of a second, and it is said.

Each way of failing is one row of `WAYS`; each question the broker asks is one row of `QUESTIONS`.
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from sandbox.embedded import Valkey
from service.adapters.wakeups import RedisWakeups
from service.broker.ports import LeaseState
from tests.support.cached import ANNA, BERT, a_fingerprint, a_token, presented
from tests.support.proxies import listening, say, say_nothing
from tests.support.waiting import eventually
from tests.support.worlds import RedisWorld

AT_MOST_S = 0.25
LEEWAY_S = 0.15
RATES = {"first-client": 90.0}
NO_LEASE = LeaseState(held=False, busy=False)


class Process:
    """One process's four ports over one link, as wiring makes them."""

    def __init__(self, world):
        self.world = world
        self.link = world.link()
        self.cache = world.cache(self.link)
        self.leases = world.leases(link=self.link)
        self.budget = world.budget(RATES, self.link)

    async def lease(self):
        async with self.leases.hold(ANNA) as state:
            return state


QUESTIONS = {
    "find": (lambda it: it.cache.find([a_fingerprint("any")]), None),
    "current": (lambda it: it.cache.current(BERT), None),
    "put": (lambda it: it.cache.put(a_token(it.world.clock)), None),
    "block": (lambda it: it.cache.block(ANNA, 5), False),
    "forget": (lambda it: it.cache.forget(ANNA), False),
    "note_confirmed": (lambda it: it.cache.note_confirmed(ANNA, 5, 30), None),
    "recently_confirmed": (lambda it: it.cache.recently_confirmed(BERT, 5), False),
    "lease": (lambda it: it.lease(), NO_LEASE),
    "take": (lambda it: it.budget.take("first-client", 0), True),
    "take_ahead": (lambda it: it.budget.take_ahead("first-client", 1), 1),
    "give_back": (lambda it: it.budget.give_back("first-client", 1), None),
    "pause": (lambda it: it.budget.pause("first-client", 0.01), None),
    "ping": (lambda it: it.link.ping(), False),
}
WRITES = [name for name in QUESTIONS if name not in {"find", "current", "recently_confirmed", "ping"}]


async def in_time(coroutine):
    """Its result, which must not have taken longer than allowed."""
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    result = await coroutine
    assert loop.time() - started_at < AT_MOST_S + LEEWAY_S
    return result


async def ask(process, name):
    question, expected = QUESTIONS[name]
    assert await in_time(question(process)) == expected


@asynccontextmanager
async def process_of(url):
    world = RedisWorld(url)
    try:
        yield Process(world)
    finally:
        await world.aclose()


# --- Ways of not being there ----------------------------------------------------------------------------


@pytest.fixture
def own_valkey(server_folder):
    """A Valkey of this test's own."""
    server = Valkey(server_folder, options={"appendonly": "no"})
    server.start()
    yield server
    os.kill(server.pid, signal.SIGCONT) if server.running else None
    server.stop()


@pytest.fixture(
    params=[
        "refuses connections",
        "never answers",
        "is loading",
        "wants a password",
        "talks nonsense",
        "hangs up",
    ]
)
async def broken_url(request, unused_tcp_port):
    """A Redis that does not work."""
    if request.param == "refuses connections":
        yield f"redis://127.0.0.1:{unused_tcp_port}/0"
        return
    serve = {
        "never answers": say_nothing,
        "is loading": say(b"-LOADING Redis is loading the dataset in memory\r\n"),
        "wants a password": say(b"-NOAUTH Authentication required.\r\n"),
        "talks nonsense": say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "hangs up": _hang_up,
    }[request.param]
    async with listening(serve) as url:
        yield url


async def _hang_up(reader, writer):
    await reader.read(1)
    writer.transport.abort()


@pytest.mark.parametrize("name", QUESTIONS)
async def test_every_question_has_its_answer_in_time(broken_url, name):
    async with process_of(broken_url) as process:
        await ask(process, name)


async def test_only_the_first_question_waits(broken_url):
    async with process_of(broken_url) as process:
        await ask(process, "find")
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        for _ in range(20):
            for name in ("find", "current", "put", "recently_confirmed", "lease", "take"):
                await ask(process, name)
        assert loop.time() - started_at < 0.8


async def test_it_is_said_once(broken_url):
    async with process_of(broken_url) as process:
        for name in QUESTIONS:
            await ask(process, name)
        said = [facts for event, _, facts in process.world.notes.heard if event == "dependency.down"]
        assert [facts["dependency"] for facts in said] == ["redis"]
        assert process.link.health.well is False


async def test_hundreds_at_once_all_have_their_answers_in_time(broken_url):
    async with process_of(broken_url) as process:
        names = ["find", "put", "lease", "take"] * 50
        await in_time(asyncio.gather(*(QUESTIONS[name][0](process) for name in names)))


# --- A server that fails and comes back -----------------------------------------------------------------


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


# --- What is made up for --------------------------------------------------------------------------------


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


async def test_an_answer_put_meanwhile_absorbs_a_stampede_for_half_a_second(broken_url):
    async with process_of(broken_url) as process:
        clock = process.world.clock
        await process.cache.put(a_token(clock), [presented(clock)])
        clock.advance(0.49)
        assert (await process.cache.find([presented(clock)[0]])).source == "near"
        clock.advance(0.01)
        assert await process.cache.find([presented(clock)[0]]) is None


async def test_a_confirmation_is_remembered_by_the_process_itself(broken_url):
    async with process_of(broken_url) as process:
        await process.cache.note_confirmed(ANNA, 5, 30)
        assert await process.cache.recently_confirmed(ANNA, 5)
        assert not await process.cache.recently_confirmed(ANNA, 6)
        process.world.clock.advance(30)
        assert not await process.cache.recently_confirmed(ANNA, 5)


async def test_each_process_may_go_on_with_a_quarter_of_the_rate(broken_url):
    async with process_of(broken_url) as process:
        taken = [await process.budget.take("first-client", 0) for _ in range(400)]
        assert 150 <= sum(taken) <= 150 + 90


async def test_a_pause_holds_the_process_that_heard_of_it(broken_url):
    async with process_of(broken_url) as process:
        await process.budget.pause("first-client", 60)
        assert await in_time(process.budget.take("first-client", 5)) is False
        assert await process.budget.take_ahead("first-client", 5) == 0


async def test_a_process_wakes_its_own_waiters_without_redis(broken_url):
    async with process_of(broken_url) as process:
        wakeups = RedisWakeups(process.link)
        wakeups.start()
        waiting = asyncio.create_task(wakeups.wait(ANNA, 4, 10))
        await asyncio.sleep(0)
        await in_time(wakeups.notify(ANNA, 5))
        assert await waiting is True
        await wakeups.aclose()
