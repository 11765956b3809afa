"""Without a working Redis nothing raises or takes longer than a quarter of a second, and it is said once."""

import asyncio

import pytest

from service.adapters.wakeups import RedisWakeups
from tests.support.cached import ANNA, a_token, presented
from tests.support.outages import QUESTIONS, MemoryProcess, ask, in_time, process_of
from tests.support.proxies import listening, say, say_nothing
from tests.support.waited import Waited


@pytest.fixture(
    params=[
        "refuses connections",
        "never answers",
        "is loading",
        "wants a password",
        "talks nonsense",
        "hangs up",
        "is a cluster",
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
        "is a cluster": say(b"-MOVED 1234 127.0.0.1:7001\r\n"),
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


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "ping"])
async def test_the_ports_in_memory_have_the_same_answers(name):
    await ask(MemoryProcess(), name)


async def test_only_the_first_question_waits(broken_url):
    async with process_of(broken_url) as process:
        await ask(process, "find")
        async with Waited() as waited:
            for _ in range(20):
                for name in ("find", "current", "put", "recently_confirmed", "lease", "take"):
                    await ask(process, name)
        assert waited.seconds < 0.8


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


# --- What is made up for --------------------------------------------------------------------------------


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
