"""The promises of the cache port, kept with real Valkey and in memory alike."""

import asyncio

import pytest

from service.broker.model import UserKey
from tests.support.cached import ANNA, BERT, a_fingerprint, a_token, presented


async def test_a_cached_answer_comes_back_whole(world, cache, other, clock):
    token = a_token(clock, generation=7)._replace(not_before_generation=3)
    fingerprint, entry = presented(clock, generation=7)
    await cache.put(token, [(fingerprint, entry)])
    for asked in (cache, other):
        hit = await asked.find([fingerprint])
        assert (hit.current, hit.presented) == (token, entry)


async def test_an_answer_says_where_it_came_from(cache, other, clock):
    await cache.put(a_token(clock), [presented(clock)])
    sources = [(await other.find([a_fingerprint(f"{ANNA}-1")])).source for _ in range(3)]
    assert (sources[0], sources[-1]) == ("redis", "near")


async def test_a_user_who_was_never_refreshed_by_a_browser_is_cached_too(cache, other, clock):
    token = a_token(clock)
    token = token._replace(binding=token.binding._replace(refreshed_at=None))
    await cache.put(token)
    assert (await other.current(ANNA)).current == token


async def test_what_was_never_cached_is_a_miss(cache):
    assert await cache.find([a_fingerprint("nobody")]) is None
    assert await cache.find([]) is None
    assert await cache.current(ANNA) is None


async def test_a_user_is_found_without_a_token_as_its_own_current_generation(cache, other, clock):
    await cache.put(a_token(clock, generation=4))
    hit = await other.current(ANNA)
    assert (hit.presented.generation, hit.presented.key) == (4, ANNA)


async def test_a_superseded_token_is_answered_with_the_current_one(cache, other, clock):
    old, new = presented(clock, generation=1), presented(clock, generation=2)
    await cache.put(a_token(clock, generation=1), [old])
    await cache.put(a_token(clock, generation=2), [new])
    hit = await other.find([old[0]])
    assert (hit.presented.generation, hit.current.generation) == (1, 2)


async def test_any_of_a_tokens_fingerprints_finds_it(cache, other, clock):
    fingerprint, entry = presented(clock)
    await cache.put(a_token(clock), [(fingerprint, entry)])
    unknown = a_fingerprint("the same token under a newer key", key_id="f2")
    assert (await other.find([unknown, fingerprint])).presented == entry


async def test_only_the_tokens_that_were_presented_are_found(cache, other, clock):
    await cache.put(a_token(clock, generation=2), [presented(clock, generation=2)])
    assert await other.find([presented(clock, generation=1)[0]]) is None


async def test_the_same_digest_under_another_key_id_is_another_token(cache, other, clock):
    fingerprint, entry = presented(clock)
    await cache.put(a_token(clock), [(fingerprint, entry)])
    assert await other.find([fingerprint._replace(key_id="f2")]) is None


@pytest.mark.parametrize("twin", [UserKey("first", "-clientanna"), UserKey("anna", "first-client")])
async def test_users_whose_names_run_together_are_kept_apart(cache, other, clock, twin):
    await cache.put(a_token(clock, key=ANNA))
    assert await other.current(twin) is None


async def test_many_users_asked_for_at_once_each_get_their_own(cache, other, clock):
    users = [UserKey("first-client", f"user-{number}") for number in range(600)]
    await asyncio.gather(*(cache.put(a_token(clock, user), [presented(clock, user)]) for user in users))
    hits = await asyncio.gather(*(other.find([presented(clock, user)[0]]) for user in users))
    assert [hit.current.key for hit in hits] == users


# --- Expiry ---------------------------------------------------------------------------------------------


async def test_a_token_is_served_up_to_its_expiry_and_not_at_it(cache, other, clock):
    await cache.put(a_token(clock, life_s=60))
    clock.advance(59.5)
    assert (await other.current(ANNA)).current.generation == 1
    clock.advance(0.5)
    assert await other.current(ANNA) is None
    assert await cache.current(ANNA) is None


async def test_a_near_entry_is_not_served_past_the_tokens_expiry(cache, clock):
    await cache.put(a_token(clock, life_s=0.5), [presented(clock)])
    assert (await cache.find([presented(clock)[0]])).source == "near"
    clock.advance(0.5)
    assert await cache.find([presented(clock)[0]]) is None


async def test_a_near_entry_does_not_outlive_a_presented_tokens_count(cache, clock):
    await cache.put(a_token(clock), [presented(clock, counts_s=0.5)])
    clock.advance(0.5)
    assert await cache.find([presented(clock)[0]]) is None


async def test_an_expired_token_is_not_cached(cache, clock):
    await cache.put(a_token(clock, life_s=0), [presented(clock)])
    assert await cache.current(ANNA) is None


async def test_a_token_that_no_longer_counts_finds_nobody(cache, other, clock):
    await cache.put(a_token(clock), [presented(clock, counts_s=60)])
    clock.advance(60)
    assert await other.find([presented(clock)[0]]) is None
    assert await other.current(ANNA) is not None


async def test_a_near_entry_lives_no_longer_than_it_says(cache, other, clock):
    await cache.put(a_token(clock))
    await other.block(ANNA, 1)
    clock.advance(cache.near_life_s - 0.01)
    assert (await cache.current(ANNA)).source == "near"
    clock.advance(0.01)
    assert await cache.current(ANNA) is None


# --- Confirmations --------------------------------------------------------------------------------------


async def test_a_confirmation_is_known_to_every_process(cache, other):
    await cache.note_confirmed(ANNA, 5, 30)
    assert await other.recently_confirmed(ANNA, 5)
    assert await cache.recently_confirmed(ANNA, 5)


@pytest.mark.parametrize(("key", "generation"), [(ANNA, 4), (ANNA, 6), (BERT, 5)])
async def test_a_confirmation_is_for_one_generation_of_one_user(cache, key, generation):
    await cache.note_confirmed(ANNA, 5, 30)
    assert not await cache.recently_confirmed(key, generation)


async def test_a_block_ends_a_confirmation(cache, other):
    await cache.note_confirmed(ANNA, 5, 30)
    await other.block(ANNA, 5)
    assert not await cache.recently_confirmed(ANNA, 5)


async def test_a_confirmation_for_no_time_is_none(cache):
    await cache.note_confirmed(ANNA, 5, 0)
    assert not await cache.recently_confirmed(ANNA, 5)
