"""Orders about a user that holds a grant: force, revoke, pause, resume, and their history."""

import asyncio

import pytest

from service.broker.errors import GrantPaused, TokenUnknown, UpstreamUnavailable, UserUnknown
from service.broker.model import EventQuery, GrantState, Marks, UserKey
from tests.support.waiting import eventually


async def is_unknown(world, token, broker=None):
    with pytest.raises(TokenUnknown):
        await world.browser(token, broker)


async def test_a_revoke_kills_every_older_token_upstream_too(world):
    anna, first = await world.used_user()
    second = await anna.rotate()
    await world.broker.users.revoke(anna.key, actor="test")
    assert not world.sandbox.is_live(first)
    assert not world.sandbox.is_live(second)
    await is_unknown(world, first)
    await is_unknown(world, second)
    assert anna.calls() == ["refresh", "force"]


async def test_after_a_revoke_a_service_is_given_a_live_token(pair_of_brokers):
    world = pair_of_brokers
    anna, _ = await world.used_user()
    await world.broker.users.revoke(anna.key, actor="test")
    tokens = {await anna.token(broker) for broker in world.brokers}
    assert [world.sandbox.is_live(token) for token in tokens] == [True]


async def test_a_revoke_that_upstream_does_not_carry_out_counts_here_at_once(world):
    anna, token = await world.used_user()
    world.sandbox.fault("throttled", "force", count=1, reset_s=1)
    with pytest.raises(UpstreamUnavailable):
        await world.broker.users.revoke(anna.key, actor="test")
    await is_unknown(world, token)
    assert (await anna.grant()).marks.force_pending


async def test_the_worker_carries_out_a_revoke_that_stands(world):
    anna, token = await world.used_user()
    world.sandbox.fault("drop_before", "force", count=1)
    revoking = asyncio.create_task(world.broker.users.revoke(anna.key, actor="test"))
    await world.notes.hears("refresh.unknown")
    revoking.cancel()
    await world.later(minutes=2)
    await world.sweep()
    await world.broker.drain(5)
    assert not world.sandbox.is_live(token)
    assert not (await anna.grant()).marks.force_pending


async def test_a_revoke_during_a_rotation_replaces_what_that_one_stored(world):
    anna, old = await world.used_user()
    with world.sandbox.gate("refresh", "after") as gate:
        rotating = asyncio.create_task(anna.rotate())
        await gate.arrived()
        revoking = asyncio.create_task(world.broker.users.revoke(anna.key, actor="test"))
        await eventually(lambda: is_ordered(anna))
    await revoking
    assert not world.sandbox.is_live(old)
    assert world.sandbox.is_live(await rotating)
    assert (await anna.grant()).marks == Marks()
    assert anna.calls() == ["refresh", "force"]


async def is_ordered(anna):
    return (await anna.grant()).marks.force_pending


async def test_a_force_kills_the_older_tokens_upstream_and_they_still_name_their_user(world):
    anna, old = await world.used_user()
    new = await anna.rotate(force=True)
    assert world.sandbox.is_live(new)
    assert not world.sandbox.is_live(old)
    assert await world.browser(old) == new
    assert anna.calls() == ["force"]


async def test_a_rotation_on_order_leaves_the_older_token_alive(world):
    anna, old = await world.used_user()
    assert await anna.rotate() != old
    assert world.sandbox.is_live(old)
    assert anna.calls() == ["refresh"]


async def test_rotations_ordered_at_once_are_one(pair_of_brokers):
    world = pair_of_brokers
    anna, _ = await world.used_user()
    with world.sandbox.gate("refresh") as gate:
        orders = [asyncio.create_task(anna.rotate(world.brokers[n % 2])) for n in range(10)]
        await gate.arrived()
        await world.notes.hears("refresh.joined", 8)
    assert len(set(await asyncio.gather(*orders))) == 1
    assert anna.calls() == ["refresh"]


async def test_nothing_is_done_for_a_paused_user(world):
    anna, token = await world.used_user()
    await world.later(minutes=52)
    await world.broker.users.pause(anna.key, actor="test")
    await is_unknown(world, token)
    with pytest.raises(GrantPaused):
        await anna.rotate()
    assert (await world.sweep()).claimed == 0
    assert anna.calls() == []


async def test_a_rotation_that_ends_during_a_pause_is_kept_and_served_to_nobody(world):
    anna, old = await world.used_user()
    with world.sandbox.gate("refresh", "after") as gate:
        rotating = asyncio.create_task(anna.rotate())
        await gate.arrived()
        await world.broker.users.pause(anna.key, actor="test")
    await asyncio.wait({rotating})
    await is_unknown(world, old)
    with pytest.raises(GrantPaused):
        await anna.token()
    await world.broker.users.resume(anna.key, actor="test")
    assert await anna.token() == await world.browser(old) != old
    assert anna.calls() == ["refresh"]


async def test_a_resumed_user_is_served_and_worked_on_again(pair_of_brokers):
    world = pair_of_brokers
    anna, token = await world.used_user()
    await world.broker.users.pause(anna.key, actor="test")
    await world.broker.users.resume(anna.key, actor="test")
    assert [await anna.token(broker) for broker in world.brokers] == [token, token]
    await world.later(minutes=52)
    await world.sweep()
    assert anna.calls() == ["refresh"]


async def test_a_resumed_user_is_not_given_a_token_that_upstream_had_refused(world):
    anna, token = await world.used_user()
    await world.later(minutes=1)
    await world.ports.grants.mark_refused(anna.key, (await anna.grant()).generation)
    await world.broker.users.pause(anna.key, actor="test")
    await world.broker.users.resume(anna.key, actor="test")
    assert await anna.token() != token


async def test_who_is_live_can_be_resumed_and_who_is_paused_can_be_paused(world):
    anna, token = await world.used_user()
    users = world.broker.users
    await users.resume(anna.key, actor="test")
    assert await anna.token() == token
    for _ in range(2):
        assert (await users.pause(anna.key, actor="test")).grant.state is GrantState.PAUSED


@pytest.mark.parametrize("order", ["revoke", "pause", "resume", "delete"])
async def test_an_order_about_nobody_is_refused(world, order):
    with pytest.raises(UserUnknown):
        await getattr(world.broker.users, order)(UserKey("default", "nobody"), actor="test")


async def test_the_history_says_who_ordered_what(world):
    anna, _ = await world.used_user()
    await world.broker.users.revoke(anna.key, actor="ops")
    await world.broker.users.pause(anna.key, actor="ops")
    events = await world.broker.users.events(anna.key, EventQuery())
    told = [(event.event, event.actor) for event in events]
    assert told[:2] == [("grant.paused", "ops"), ("refresh.rotated", None)]
    assert told[2:] == [("grant.revoked", "ops"), ("grant.created", "test")]
