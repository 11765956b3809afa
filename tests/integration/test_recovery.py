"""What becomes of a user whose refresh token is dead: the access token serves until it dies, then force.

Forcing early would turn a token that heals into one that kills every open tab.
"""

import pytest

from service.broker.errors import GrantDead, TokenUnknown, UpstreamUnavailable
from service.broker.model import GrantState, Marks

DEAD = Marks(refresh_token_dead=True)


async def stale_user_without_refresh_token(world):
    """A used pair with eight minutes to live, of which only the access token is any good."""
    anna = await world.user()
    token = await anna.token()
    await anna.lose_refresh_token()
    await world.later(minutes=51)
    return anna, token


async def test_a_token_that_was_just_refreshed_elsewhere_is_not_presented_again(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    await anna.token(world.brokers[1])
    current = await anna.rotate(world.brokers[0])
    assert await anna.rotate(world.brokers[1]) == current
    assert anna.calls() == ["refresh"]


async def test_a_dead_refresh_token_costs_the_open_tabs_nothing(world):
    anna, token = await stale_user_without_refresh_token(world)
    await world.sweep()
    assert (await anna.grant()).marks == DEAD
    assert await anna.token() == token
    assert world.sandbox.is_live(token)
    assert anna.calls() == ["refresh"]


async def test_what_was_found_dead_is_never_presented_again(world):
    anna, token = await stale_user_without_refresh_token(world)
    await world.sweep()
    for _ in range(3):
        await world.later(minutes=2)
        await anna.token()
        await world.browser(token)
        await world.broker.drain(5)
        await world.sweep()
    assert anna.calls("refresh") == ["refresh"]
    assert anna.calls("force") == []


async def test_a_complaint_about_the_good_access_token_is_checked_and_handed_back(world):
    anna, token = await stale_user_without_refresh_token(world)
    assert await world.browser(token) == token
    assert anna.calls() == ["refresh", "check"]


async def test_more_life_than_is_left_cannot_be_had_without_the_refresh_token(world):
    anna, _ = await stale_user_without_refresh_token(world)
    with pytest.raises(UpstreamUnavailable, match="less life than was asked for"):
        await anna.token(min_ttl=20 * 60)
    assert anna.calls() == ["refresh"]


async def test_a_complaint_about_a_refused_access_token_forces(world):
    anna, token = await stale_user_without_refresh_token(world)
    world.sandbox.kill(token)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["refresh", "check", "force"]


async def test_ahead_of_time_nothing_is_forced_before_the_access_token_has_ended(world):
    anna, _ = await stale_user_without_refresh_token(world)
    await world.sweep()
    await world.later(minutes=7, seconds=30)
    assert (await world.sweep()).claimed == 0
    await world.later(minutes=2)
    await world.sweep()
    assert anna.calls() == ["refresh", "force"]
    assert (await anna.grant()).marks == Marks()


async def test_a_caller_who_waits_has_it_forced_once_the_token_may_not_be_handed_out(world):
    anna, token = await stale_user_without_refresh_token(world)
    await world.later(minutes=8, seconds=5)
    assert await anna.token() != token
    assert anna.calls() == ["refresh", "force"]


async def test_a_request_that_was_doubled_on_its_way_counts_as_a_dead_refresh_token(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=52)
    world.sandbox.fault("duplicate", "refresh", count=1, variant="second")
    await world.sweep()
    assert await anna.token() == token
    assert (await anna.grant()).marks == DEAD
    assert anna.calls() == ["refresh", "refresh"]


async def test_a_replica_that_lags_is_waited_for_and_nothing_is_forced(world):
    anna = await world.user()
    world.sandbox.fault("replica_lag", "refresh", count=1, delay_s=60)
    assert world.sandbox.is_live(await anna.rotate())
    assert anna.calls() == ["refresh", "refresh"]


async def test_a_young_token_that_a_lagging_replica_refuses_is_checked_twice(world):
    anna = await world.user()
    token = await anna.token()
    world.sandbox.fault("replica_lag", "check", count=1, delay_s=60)
    assert await world.browser(token) == token
    assert anna.calls() == ["check", "check"]


async def test_a_user_who_is_gone_upstream_is_dead_and_left_alone(world):
    anna = await world.user()
    token = await anna.token()
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(minutes=52)
    for _ in range(3):
        with pytest.raises(TokenUnknown):
            await world.browser(token)
        await world.sweep()
    grant = await anna.grant()
    assert (grant.state, grant.reason) == (GrantState.DEAD, "user_gone")
    assert anna.calls() == ["refresh", "check", "force"]


async def test_a_user_who_was_gone_is_created_anew_under_the_same_id(world):
    anna = await world.user()
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(hours=2)
    with pytest.raises(GrantDead):
        await anna.token()
    user, created = await world.create()
    assert created
    assert int(user.upstream_id) != anna.upstream_id
    assert world.sandbox.is_live(await anna.token())
