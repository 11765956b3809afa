"""A force-refresh whose answer was lost may still land, and kill the pair that was stored meanwhile.

Until upstream has confirmed the current token after the window, nothing is cached and every answer asked for.
"""

import asyncio

import pytest
from redis.asyncio import Redis

from service.broker.errors import UpstreamUnavailable
from tests.support.world import A_CLAIM_S, NEAR_LIFE_S, upstream_client

PATIENT = {"ANSWER_TIMEOUT": "25s", "PUBLIC_ANSWER_TIMEOUT": "25s", "DRAIN": "30s", "GRACE": "40s"}


async def distrusted_user(world):
    """A user whose first force-refresh was lost and whose second one gave the pair she has."""
    anna = await world.user()
    await anna.lose_refresh_token()
    await world.later(hours=2)
    world.sandbox.fault("drop_before", "force", count=1)
    waiting = asyncio.create_task(anna.token())
    await world.notes.hears("refresh.unknown")
    await world.later(seconds=A_CLAIM_S)
    token = await waiting
    return anna, token


async def overtaken_user(world):
    """A user whose force-refresh hangs at one broker; long ago the other's has given her the pair she has."""
    anna = await world.user()
    await anna.lose_refresh_token()
    await world.later(hours=2)
    hung = world.sandbox.fault("hang_before", "force", count=1)
    world.sandbox.fault("html_before", "force", count=1)
    overtaken = asyncio.create_task(anna.token(world.brokers[0]))
    await hung.struck()
    await world.later(seconds=12)
    await anna.token(world.brokers[1])
    await world.later(seconds=61)
    return anna, overtaken


def land(world, anna):
    """Let the lost force-refresh be executed now."""
    client = world.sandbox.client(upstream_client("default"))
    world.sandbox.state.replace_all(client, world.sandbox.user(anna.upstream_id))


async def cached_answers(world):
    async with Redis.from_url(world.settings.redis_url.value) as redis:
        return len(await redis.keys("tb:u:*"))


async def test_the_first_answer_after_a_lost_force_is_confirmed(world):
    anna, token = await distrusted_user(world)
    assert world.sandbox.is_live(token)
    assert anna.calls() == ["refresh", "force", "force", "check"]
    assert (await anna.grant()).marks.distrusted


async def test_every_answer_in_the_window_is_confirmed_and_none_is_cached(pair_of_brokers):
    world = pair_of_brokers
    anna, token = await distrusted_user(world)
    anna.forget_calls()
    for broker in world.brokers * 2:
        assert await anna.token(broker) == token
    assert anna.calls() == ["check"] * 4
    assert await cached_answers(world) == 0


async def test_an_older_token_is_answered_with_a_confirmed_one(world):
    anna = await world.user()
    old = await anna.token()
    await anna.rotate()
    await world.ports.grants.distrust(anna.key)
    await world.drop_caches()
    await world.browser(old)
    assert anna.calls() == ["refresh", "check"]


@pytest.mark.parametrize("force", [False, True])
async def test_a_rotation_on_order_hands_out_a_confirmed_token(world, force):
    anna, _ = await distrusted_user(world)
    await world.later(seconds=10)
    anna.forget_calls()
    assert world.sandbox.is_live(await anna.rotate(force=force))
    assert anna.calls() == ["force" if force else "refresh", "check"]


async def test_a_force_that_lands_late_is_noticed_before_anybody_is_answered(world):
    anna, token = await distrusted_user(world)
    await world.later(seconds=20)
    land(world, anna)
    anna.forget_calls()
    answer = await anna.token()
    assert answer != token
    assert world.sandbox.is_live(answer)
    assert anna.calls() == ["check", "refresh", "force", "check"]


async def test_a_confirmation_inside_the_window_does_not_close_it(world):
    anna, _ = await distrusted_user(world)
    await world.later(seconds=50)
    await anna.token()
    assert (await anna.grant()).marks.distrusted


async def test_the_end_of_the_window_alone_does_not_close_it(world):
    anna, token = await distrusted_user(world)
    await world.later(seconds=61)
    land(world, anna)
    assert (await anna.grant()).marks.distrusted
    assert await anna.token() != token


async def test_a_confirmation_after_the_window_closes_it_and_answers_are_cached_again(world):
    anna, token = await distrusted_user(world)
    await world.later(seconds=61)
    anna.forget_calls()
    assert [await anna.token() for _ in range(3)] == [token] * 3
    assert anna.calls() == ["check"]
    assert not (await anna.grant()).marks.distrusted
    assert await cached_answers(world) == 1


async def test_the_worker_closes_the_window_of_a_used_pair_by_itself(world):
    anna, _ = await distrusted_user(world)
    await world.later(seconds=61)
    anna.forget_calls()
    await world.sweep()
    assert anna.calls() == ["check"]
    assert not (await anna.grant()).marks.distrusted


async def test_without_a_confirmation_a_distrusted_token_is_not_handed_out(world):
    anna, _ = await distrusted_user(world)
    world.sandbox.fault("error_before", "check", count=1)
    with pytest.raises(UpstreamUnavailable):
        await anna.token()


async def test_a_recovery_whose_answer_was_lost_leaves_the_user_distrusted(world):
    anna = await world.user()
    await world.later(minutes=1)
    world.sandbox.fault("drop_after", "force", count=1)
    order = (str(anna.upstream_id), "anna@example.com")
    recovering = world.broker.users.recover(anna.key, *order, vouch=False, actor="test")
    recovered = asyncio.create_task(recovering)
    await world.notes.hears("refresh.unknown")
    await world.later(seconds=A_CLAIM_S)
    await recovered
    assert world.sandbox.is_live(await anna.token())
    assert anna.calls() == ["read", "force", "force", "check"]


async def test_a_pause_does_not_make_a_distrusted_token_trusted(world):
    anna, _ = await distrusted_user(world)
    await world.broker.users.pause(anna.key, actor="test")
    await world.broker.users.resume(anna.key, actor="test")
    anna.forget_calls()
    await anna.token()
    assert anna.calls() == ["check"]


async def test_an_overtaken_force_whose_answer_is_lost_makes_the_user_distrusted_again(worlds):
    world = await worlds(brokers=2, UPSTREAM_TIMEOUT="8s", LEASE_TTL="11s", CLAIM_DEADLINE="11s", **PATIENT)
    anna, overtaken = await overtaken_user(world)
    token = await anna.token(world.brokers[1])
    assert not (await anna.grant()).marks.distrusted

    world.sandbox.clear_faults()
    await asyncio.wait({overtaken})
    await asyncio.sleep(NEAR_LIFE_S)  # what a process has at hand is as old as that at most
    land(world, anna)
    assert await anna.token(world.brokers[1]) != token
