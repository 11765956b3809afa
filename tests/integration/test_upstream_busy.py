"""Upstream says "too many requests": nothing was done, nobody is to blame, and the whole client pauses."""

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.model import Marks


async def test_a_caller_is_told_when_to_come_back(world):
    anna, _ = await world.used_users("anna", "bert", hours=2)
    world.sandbox.fault("throttled", "refresh", reset_s=40)
    with pytest.raises(UpstreamUnavailable) as told:
        await anna.token()
    assert told.value.retry_after_s >= 40
    assert anna.calls() == ["refresh"]


async def test_the_grant_is_left_as_it_was_with_no_failure_counted(world):
    anna, _ = await world.used_users("anna", "bert", hours=2)
    world.sandbox.fault("throttled", "refresh", reset_s=40)
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    grant = await anna.grant()
    assert (grant.marks, grant.claim, grant.failures, grant.last_error) == (Marks(), None, 0, None)
    assert (grant.retry_at - world.broker.clock()).total_seconds() > 38


async def test_no_other_user_of_the_client_is_refreshed_meanwhile_in_any_process(pair_of_brokers):
    world = pair_of_brokers
    anna, bert = await world.used_users("anna", "bert", hours=2)
    world.sandbox.fault("throttled", "refresh", count=1, reset_s=40)
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    for broker in world.brokers:
        with pytest.raises(UpstreamUnavailable):
            await bert.token(broker)
        assert (await world.sweep(broker)).claimed == 0
    assert bert.calls() == []


async def test_live_tokens_are_served_meanwhile(world):
    anna, bert = await world.used_users("anna", "bert", minutes=52)
    token = await bert.token()
    await world.broker.drain(5)
    await anna.set(expires_at=world.broker.clock())
    world.sandbox.fault("throttled", "refresh", reset_s=40)
    await world.drop_caches()
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    assert world.sandbox.is_live(token)
    assert world.sandbox.is_live(await bert.token())


async def test_a_short_pause_is_waited_out(world):
    anna, bert = await world.used_users("anna", "bert", hours=2)
    world.sandbox.fault("throttled", "refresh", count=1, reset_s=1)
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    assert world.sandbox.is_live(await bert.token())


async def test_ahead_of_time_the_pause_holds_for_the_next_sweep(world):
    anna, bert = await world.used_users("anna", "bert", minutes=52)
    await bert.set(due_at=world.broker.clock() + (await bert.grant()).pair.lifetime)
    world.sandbox.fault("throttled", "refresh", count=1, reset_s=40)
    await world.sweep()
    await bert.set(due_at=world.broker.clock())
    assert (await world.sweep()).claimed == 0
    assert (await anna.grant()).failures == 0
    assert anna.calls() + bert.calls() == ["refresh"]


async def test_a_create_that_is_throttled_pauses_the_client_too(world):
    anna, _ = await world.used_users("anna", "bert", minutes=52)
    world.sandbox.fault("throttled", "create", reset_s=40)
    with pytest.raises(UpstreamUnavailable):
        await world.create("cleo")
    assert (await world.sweep()).claimed == 0
    assert anna.calls() == []


async def test_a_batch_stops_when_upstream_has_had_enough(worlds):
    world = await worlds(UPSTREAM_RATE="9000/min", sandbox={"throttle": False})
    for name in (f"user-{number}" for number in range(100)):
        await (await world.user(name)).token()
    await world.later(minutes=52)
    world.sandbox.fault("throttled", "refresh", reset_s=40)
    await world.sweep()
    assert world.sandbox.journal.calls["refresh"] < 100
