"""What a caller gets for a token, counted by what it costs upstream."""

import asyncio

import pytest

from service.broker.errors import Invalid, MinTtlTooLong, TooManyRequests, UpstreamUnavailable


async def test_a_superseded_token_gets_the_current_one_without_a_call(world):
    anna = await world.user()
    old = await anna.token()
    new = await anna.rotate()
    assert await world.browser(old) == new
    assert anna.calls() == ["refresh"]


async def test_every_generation_in_the_window_gets_the_current_one(world):
    anna = await world.user()
    tokens = [await anna.token(), *[await anna.rotate() for _ in range(3)]]
    assert {await world.browser(token) for token in tokens[:3]} == {tokens[3]}
    assert anna.calls() == ["refresh"] * 3


async def test_a_tab_that_slept_through_three_rotations_gets_the_current_token(world):
    anna = await world.user()
    asleep = await anna.token()
    for _ in range(3):
        await world.later(minutes=70)
        current = await anna.token()
    assert await world.browser(asleep) == current
    assert anna.calls() == ["refresh"] * 3


async def test_a_complaint_about_a_fresh_token_costs_one_check_and_the_token_is_handed_back(world):
    anna = await world.user()
    token = await anna.token()
    assert await world.browser(token) == token
    assert anna.calls() == ["check"]


async def test_the_same_complaint_again_soon_after_rotates(world):
    anna = await world.user()
    token = await anna.token()
    await world.browser(token)
    assert await world.browser(token) != token
    assert anna.calls() == ["check", "refresh"]


async def test_the_same_complaint_half_a_minute_later_is_checked_anew(world):
    anna = await world.user()
    token = await anna.token()
    await world.browser(token)
    await world.later(seconds=31)
    assert await world.browser(token) == token
    assert anna.calls() == ["check", "check"]


async def test_another_process_knows_of_the_earlier_complaint(pair_of_brokers):
    here, there = pair_of_brokers.brokers
    anna = await pair_of_brokers.user()
    token = await anna.token()
    await pair_of_brokers.browser(token, here)
    assert await pair_of_brokers.browser(token, there) != token
    assert anna.calls() == ["check", "refresh"]


async def test_a_token_that_upstream_refuses_is_replaced(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=1)
    world.sandbox.kill(token)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["check", "refresh"]


async def test_a_complaint_during_a_check_joins_it(world):
    anna = await world.user()
    token = await anna.token()
    with world.sandbox.gate("check") as gate:
        first = asyncio.create_task(world.browser(token))
        await gate.arrived()
        second = asyncio.create_task(world.browser(token))
        await asyncio.sleep(0)
    assert await asyncio.gather(first, second) == [token, token]
    assert anna.calls() == ["check"]


@pytest.mark.parametrize("fault", ["error_before", "html_after", "drop_before", "throttled"])
async def test_without_an_answer_to_the_check_nothing_is_rotated(world, fault):
    anna = await world.user()
    token = await anna.token()
    world.sandbox.fault(fault, "check")
    with pytest.raises(UpstreamUnavailable):
        await world.browser(token)
    assert anna.calls() == ["check"]


async def test_a_stale_token_is_served_and_refreshed_behind_the_caller(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=52)
    with world.sandbox.gate("refresh") as gate:
        assert await anna.token() == token
        await gate.arrived()
    await world.broker.drain(5)
    assert await anna.token() != token
    assert anna.calls() == ["refresh"]


async def test_a_superseded_token_is_answered_with_a_stale_one_at_once(world):
    anna = await world.user()
    old = await anna.token()
    stale = await anna.rotate()
    await world.later(minutes=52)
    with world.sandbox.gate("refresh"):
        assert await world.browser(old) == stale


async def test_a_complaint_about_a_stale_token_rotates_without_a_check(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=52)
    assert await world.browser(token) != token
    assert anna.calls() == ["refresh"]


@pytest.mark.parametrize("minutes", [59, 61])
async def test_a_token_with_less_than_a_minute_to_live_is_handed_to_nobody(world, minutes):
    anna = await world.user()
    old = await anna.token()
    current = await anna.rotate()
    await world.later(minutes=minutes)
    by_browser = await world.browser(old)
    assert by_browser == await anna.token() != current
    assert anna.calls() == ["refresh", "refresh"]


async def test_a_service_is_given_as_much_life_as_it_asked_for(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=35)
    assert await anna.token(min_ttl=20 * 60) == token
    assert await anna.token(min_ttl=28 * 60) != token
    assert anna.calls() == ["refresh"]


async def test_more_than_half_a_lifetime_cannot_be_asked_for(world):
    anna = await world.user()
    with pytest.raises(MinTtlTooLong):
        await anna.token(min_ttl=31 * 60)


async def test_a_service_complains_about_a_token_of_its_user(world):
    anna = await world.user()
    old = await anna.token()
    new = await anna.rotate()
    for refused in (old, new):
        answer = await world.broker.answers.complain(anna.key, refused, actor="test")
        assert answer.access_token == new
    assert anna.calls() == ["refresh", "check"]


@pytest.mark.parametrize("whose", ["another user's", "nobody's"])
async def test_a_service_cannot_complain_about_a_token_that_is_not_its_users(world, whose):
    anna, bert = await world.user("anna"), await world.user("bert")
    token = await bert.token() if whose == "another user's" else "no-token-of-ours-at-all"
    with pytest.raises(Invalid, match="value") as refusal:
        await world.broker.answers.complain(anna.key, token, actor="test")
    assert list(refusal.value.fields) == ["refused"]
    assert anna.calls() + bert.calls() == []


async def test_what_costs_something_is_limited_and_what_costs_nothing_is_not(worlds):
    world = await worlds(USER_ROTATIONS="2/min")
    anna = await world.user()
    old = await anna.token()
    current = [await anna.rotate(), await anna.rotate()][-1]
    for costly in (anna.rotate, lambda: world.browser(current)):
        with pytest.raises(TooManyRequests) as told:
            await costly()
        assert 0 < told.value.retry_after_s <= 30
    assert await world.browser(old) == await anna.token() == current
    assert anna.calls() == ["refresh", "refresh"]
