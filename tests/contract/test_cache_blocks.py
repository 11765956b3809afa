"""Which generations the cache takes and which it refuses, with real Valkey and in memory alike."""

from datetime import timedelta

import pytest

from tests.support.cached import ANNA, BERT, a_token, presented


async def test_an_older_generation_does_not_replace_a_newer_one(cache, other, clock):
    await cache.put(a_token(clock, generation=2))
    await other.put(a_token(clock, generation=1))
    for asked in (cache, other):
        assert (await asked.current(ANNA)).current.generation == 2


async def test_the_same_generation_may_be_written_again(cache, other, clock):
    vouched = a_token(clock)
    await cache.put(vouched)
    vouched = vouched._replace(binding=vouched.binding._replace(vouched_at=clock() + timedelta(seconds=5)))
    await cache.put(vouched)
    assert (await other.current(ANNA)).current == vouched


async def test_the_process_that_stored_a_generation_serves_it_at_once(cache, clock):
    await cache.put(a_token(clock, generation=1))
    await cache.put(a_token(clock, generation=2))
    assert (await cache.current(ANNA)).current.generation == 2


async def test_a_block_drops_the_answer_and_says_that_it_did(cache, other, clock):
    await cache.put(a_token(clock), [presented(clock)])
    assert await cache.block(ANNA, 1) is True
    for asked in (cache, other):
        assert await asked.find([presented(clock)[0]]) is None
        assert await asked.current(ANNA) is None


@pytest.mark.parametrize("generation", [4, 5])
async def test_a_block_refuses_its_generation_and_older_ones(cache, other, clock, generation):
    await cache.block(ANNA, 5)
    clock.advance(2)
    for process in (cache, other):
        await process.put(a_token(clock, generation=generation), [presented(clock, generation=generation)])
    assert await cache.current(ANNA) is None
    assert await other.current(ANNA) is None


async def test_a_block_lets_newer_generations_through(cache, other, clock):
    await cache.block(ANNA, 5)
    await cache.put(a_token(clock, generation=6))
    assert (await other.current(ANNA)).current.generation == 6


async def test_a_block_refuses_older_generations_behind_a_newer_one_too(cache, other, clock):
    await cache.block(ANNA, 5)
    await cache.put(a_token(clock, generation=6, life_s=60))
    clock.advance(60)
    await other.put(a_token(clock, generation=5))
    assert await other.current(ANNA) is None


async def test_an_older_block_does_not_loosen_a_newer_one(cache, other, clock):
    await cache.block(ANNA, 5)
    await other.block(ANNA, 3)
    clock.advance(2)
    await other.put(a_token(clock, generation=5))
    assert await other.current(ANNA) is None


async def test_reopening_lifts_a_block_on_exactly_this_generation(cache, other, clock):
    await cache.block(ANNA, 5)
    clock.advance(2)
    await other.put(a_token(clock, generation=5), reopen=True)
    for asked in (cache, other):
        assert (await asked.current(ANNA)).current.generation == 5


@pytest.mark.parametrize("generation", [4, 3])
async def test_reopening_an_older_generation_lifts_nothing(cache, other, clock, generation):
    await cache.block(ANNA, 5)
    await cache.put(a_token(clock, generation=generation), reopen=True)
    await other.put(a_token(clock, generation=5))
    assert await cache.current(ANNA) is None
    assert await other.current(ANNA) is None


async def test_a_reopened_generation_leaves_older_ones_refused(cache, other, clock):
    await cache.block(ANNA, 5)
    await cache.put(a_token(clock, generation=5, life_s=60), reopen=True)
    clock.advance(60)
    await other.put(a_token(clock, generation=4))
    assert await other.current(ANNA) is None


async def test_a_block_touches_nobody_else(cache, other, clock):
    await cache.put(a_token(clock, key=BERT))
    await cache.block(ANNA, 1)
    assert (await other.current(BERT)).current.key == BERT


async def test_forgetting_refuses_every_generation_up_to_now(cache, other, clock):
    now_ms = int(clock().timestamp() * 1000)
    await cache.put(a_token(clock, generation=now_ms))
    assert await cache.forget(ANNA) is True
    clock.advance(2)
    await other.put(a_token(clock, generation=now_ms))
    assert await other.current(ANNA) is None
    await other.put(a_token(clock, generation=now_ms + 1))
    assert (await cache.current(ANNA)).current.generation == now_ms + 1


@pytest.mark.parametrize("end", ["block", "forget"])
async def test_what_was_known_of_tokens_before_a_block_is_gone_for_good(cache, other, clock, end):
    old = presented(clock, generation=1)
    await cache.put(a_token(clock, generation=1), [old])
    await (cache.block(ANNA, 1) if end == "block" else cache.forget(ANNA))
    later = int(clock().timestamp() * 1000) + 1
    await cache.put(a_token(clock, generation=later), [presented(clock, generation=later)])
    for asked in (cache, other):
        assert await asked.find([old[0]]) is None
        assert await asked.current(ANNA) is not None
