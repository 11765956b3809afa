"""One request's waits for Redis are counted together; what it leaves behind is not held by its count."""

import asyncio

import pytest

from service.adapters import redis_allowance
from service.adapters.redis_health import RedisUnavailable

ALLOWED_S = 0.05


@pytest.fixture(autouse=True)
def a_request():
    redis_allowance.begin(ALLOWED_S)
    yield
    redis_allowance.end()


async def test_an_answer_that_comes_soon_is_given():
    assert await redis_allowance.within(asyncio.sleep(0, "answer")) == "answer"


async def test_what_is_left_after_one_wait_is_all_the_next_one_has():
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    await redis_allowance.within(asyncio.sleep(ALLOWED_S / 2))
    with pytest.raises(RedisUnavailable):
        await redis_allowance.within(asyncio.Event().wait())
    assert loop.time() - started_at < ALLOWED_S + 0.5


async def test_what_was_waited_before_it_began_is_counted_as_well():
    redis_allowance.spend(ALLOWED_S)
    with pytest.raises(RedisUnavailable):
        await redis_allowance.within(asyncio.Event().wait())


async def test_what_nobody_counts_is_not_counted():
    redis_allowance.end()
    redis_allowance.spend(ALLOWED_S)
    assert await redis_allowance.within(asyncio.sleep(0, "answer")) == "answer"


async def test_a_task_of_the_request_draws_on_the_same_count():
    await asyncio.create_task(redis_allowance.within(asyncio.sleep(ALLOWED_S)))
    with pytest.raises(RedisUnavailable):
        await redis_allowance.within(asyncio.Event().wait())


async def test_the_next_request_has_its_own():
    await redis_allowance.within(asyncio.sleep(ALLOWED_S))
    redis_allowance.begin(ALLOWED_S)
    assert await redis_allowance.within(asyncio.sleep(0, "answer")) == "answer"


async def test_what_goes_on_without_the_request_is_not_held_by_it():
    await redis_allowance.within(asyncio.sleep(ALLOWED_S))
    redis_allowance.end()
    assert await redis_allowance.within(asyncio.sleep(ALLOWED_S / 10, "answer")) == "answer"
