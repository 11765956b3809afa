"""What a process has near, and what it asks Redis for without waiting, with real Valkey."""

import asyncio

import pytest

from tests.support.cached import ANNA, BERT, a_fingerprint, a_token, presented
from tests.support.proxies import listening, say_nothing
from tests.support.worlds import RedisWorld

IN_TIME_S = 1.0
TOKEN = a_fingerprint(f"{ANNA}-1")


@pytest.fixture
def world(redis_world):
    return redis_world


@pytest.fixture(params=[ANNA, TOKEN], ids=["a user", "a token"])
def look(request):
    """Whom or what is looked for."""
    return request.param


def asked(cache, look):
    """A future of what is told of a look-up: the first thing, for it is told once."""
    future = asyncio.get_running_loop().create_future()
    cache.ask(look, future.set_result)
    return future


async def stored(cache, clock, generation=1):
    """Have a token of this generation, which the first one's bearer is given, stored by this process."""
    await cache.put(a_token(clock, generation=generation), [presented(clock)])


async def test_what_this_process_stored_is_near(cache, clock, look):
    assert cache.near(look) is None
    await stored(cache, clock, generation=2)

    hit = cache.near(look)

    assert (hit.current, hit.source) == (a_token(clock, generation=2), "near")
    assert hit.presented.generation == (2 if look == ANNA else 1)


async def test_what_another_process_stored_is_asked_for_and_near_once_it_was_asked_for_again(
    cache, other, clock, look
):
    await stored(other, clock)

    for _ in range(2):
        assert cache.near(look) is None
        hit = await asked(cache, look)
        assert (hit.current, hit.source) == (a_token(clock), "redis")

    assert cache.near(look)._replace(source="redis") == hit


async def test_whoever_comes_once_takes_nobodys_room(cache, other, clock):
    """Most tokens come once: of those that do, the users who come often are not forgotten."""
    for key in (ANNA, BERT):
        await other.put(a_token(clock, key), [presented(clock, key)])
    for look in (ANNA, BERT, ANNA):
        await asked(cache, look)

    assert (cache.near(ANNA).current.key, cache.near(BERT)) == (ANNA, None)


async def test_what_is_remembered_of_who_asked_lately_is_bounded(cache, other, clock, monkeypatch):
    monkeypatch.setattr("service.adapters.cache._MOST_LATELY", 3)
    keys = [ANNA._replace(user_id=f"u-{number}") for number in range(20)]
    for key in keys:
        await other.put(a_token(clock, key))
    for key in (*keys, keys[-1]):
        assert (await asked(cache, key)).current.key == key
        assert len(cache._lately) <= 3

    assert [key for key in keys if cache.near(key) is not None] == [keys[-1]]


async def test_a_miss_is_no_asking_before(cache, other, clock, look):
    """It is remembered by nobody: what is found then may be for once."""
    assert await asked(cache, look) is None
    await stored(other, clock)
    await asked(cache, look)

    assert cache.near(look) is None


async def test_who_is_near_is_so_for_a_second(cache, clock, look):
    await stored(cache, clock)
    clock.advance(0.99)
    assert cache.near(look) is not None
    clock.advance(0.01)
    assert cache.near(look) is None
    assert await asked(cache, look) is not None


async def test_all_who_ask_at_once_are_answered_each_its_own(cache, other, clock):
    for key in (ANNA, BERT):
        await other.put(a_token(clock, key), [presented(clock, key)])
    looks = [ANNA, presented(clock, BERT)[0], TOKEN, BERT, a_fingerprint("nobody's"), ANNA]

    hits = await asyncio.gather(*[asked(cache, look) for look in looks])

    assert [hit and hit.current.key for hit in hits] == [ANNA, BERT, ANNA, BERT, None, ANNA]


async def test_what_is_blocked_is_neither_near_nor_found(cache, other, clock, look):
    await stored(cache, clock)
    await cache.block(ANNA, 1)

    assert cache.near(look) is None
    assert await asked(cache, look) is await asked(other, look) is None


async def test_another_process_has_near_what_is_blocked_no_longer_than_a_second(cache, other, clock, look):
    await stored(cache, clock)
    await other.block(ANNA, 1)
    clock.advance(1)

    assert cache.near(look) is None
    assert await asked(cache, look) is None


async def test_who_is_forgotten_is_neither_near_nor_found(cache, other, clock, look):
    await stored(cache, clock, generation=9)
    await cache.forget(ANNA)

    assert cache.near(look) is None
    assert await asked(cache, look) is await asked(other, look) is None


async def test_what_was_asked_before_a_block_does_not_bring_it_back(cache, other, clock, look):
    await stored(other, clock)
    looked_for = asked(cache, look)
    await cache.block(ANNA, 1)

    assert await looked_for is None
    assert cache.near(look) is None


async def test_a_token_that_has_ended_is_not_at_hand(cache, other, clock, look):
    await stored(other, clock)
    clock.advance(3600)

    assert cache.near(look) is None
    assert await asked(cache, look) is None


async def test_who_is_told_before_and_cannot_take_it_takes_nobody_elses_answer_along(
    cache, other, clock, look
):
    await stored(other, clock)
    unheard, failure = [], ZeroDivisionError("hush")
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context["exception"]))

    def fails(_):
        raise failure

    cache.ask(look, fails)
    assert (await asked(cache, look)).current.key == ANNA
    assert unheard == [failure]


async def test_what_is_told_comes_later_and_once(cache, other, clock, look):
    await stored(other, clock)
    told = []
    cache.ask(look, told.append)
    assert told == []
    await asked(cache, look)
    await asked(cache, look)
    assert [hit.current.key for hit in told] == [ANNA]


async def test_without_redis_nothing_is_found_and_nothing_raised(unused_tcp_port, look):
    away = RedisWorld(f"redis://127.0.0.1:{unused_tcp_port}/0")
    assert await asyncio.wait_for(asked(away.cache(), look), IN_TIME_S) is None
    await away.aclose()


async def test_a_redis_that_does_not_answer_is_waited_for_no_longer_than_one_question_may(look):
    async with listening(say_nothing) as url:
        silent = RedisWorld(url)
        cache = silent.cache()
        assert await asyncio.wait_for(asked(cache, look), IN_TIME_S) is None
        assert await asyncio.wait_for(asked(cache, look), IN_TIME_S / 10) is None
        await silent.aclose()


async def test_without_redis_what_this_process_knows_is_near_for_half_as_long(unused_tcp_port, look):
    away = RedisWorld(f"redis://127.0.0.1:{unused_tcp_port}/0")
    cache = away.cache()
    await stored(cache, away.clock)
    assert cache.near(look) is not None
    away.clock.advance(0.5)
    assert cache.near(look) is None
    await away.aclose()
