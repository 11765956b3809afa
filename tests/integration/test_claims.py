"""Claims: one presentation at a time, whoever dies, stops or leaves in the middle of it."""

import asyncio
from datetime import timedelta

import pytest

from service.broker.errors import RefreshInProgress
from service.broker.model import ClaimKind
from tests.support.waiting import eventually
from tests.support.world import A_CLAIM_S

DEAD_PROCESS = "a process that is no more"


async def expired_user(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    return anna, token


async def claim_left_behind(world, anna, kind=ClaimKind.REFRESH):
    """A claim of a process that died: before its call, or with a force-refresh under way."""
    claimed = await world.ports.claims.claim(anna.key, (await anna.grant()).generation, DEAD_PROCESS)
    if kind is ClaimKind.FORCE:
        await world.ports.claims.restamp(claimed.claim, kind)


def kill_flights(broker):
    """What a process's death does to its flights."""
    for task in broker.refresh._flights._tasks:
        task.cancel()


class OnItsWay:
    """The wire of a process that is stopped between its last look at the claim and its first byte."""

    def __init__(self, broker):
        provider = broker.answers._ports.providers["default"]
        self._wire, provider._wire = provider._wire, self
        self._broker = broker
        self.stopped, self._going_on = asyncio.Event(), asyncio.Event()

    async def send(self, request):
        self.stopped.set()
        await self._going_on.wait()
        return await self._wire.send(request)

    def go_on(self):
        """Let the process go on: for it, the time it was stopped has passed too."""
        self._broker.clock._then += timedelta(seconds=A_CLAIM_S)
        self._going_on.set()


async def test_a_holder_that_was_stopped_on_its_way_sends_nothing_under_a_claim_it_has_lost(pair_of_brokers):
    world = pair_of_brokers
    anna, token = await expired_user(world)
    way = OnItsWay(world.brokers[0])
    overtaken = asyncio.create_task(world.browser(token, world.brokers[0]))
    await way.stopped.wait()
    await world.later(seconds=A_CLAIM_S)
    current = await world.browser(token, world.brokers[1])
    way.go_on()
    assert await overtaken == current
    assert anna.calls() == ["refresh"]


async def test_a_holder_that_was_stopped_on_its_way_and_not_overtaken_stamps_its_claim_and_sends(world):
    anna, token = await expired_user(world)
    way = OnItsWay(world.broker)
    asking = asyncio.create_task(world.browser(token))
    await way.stopped.wait()
    way.go_on()
    assert world.sandbox.is_live(await asking)
    assert anna.calls() == ["refresh"]


async def test_a_holder_that_died_before_its_call_costs_one_claim_and_no_force(world):
    anna, token = await expired_user(world)
    await claim_left_behind(world, anna)
    await world.later(seconds=A_CLAIM_S)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["refresh"]


async def test_a_holder_that_died_with_the_answer_on_its_way_costs_one_force(pair_of_brokers):
    world = pair_of_brokers
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        kill_flights(world.broker)
    await asyncio.wait({asking})
    await world.later(seconds=A_CLAIM_S)
    assert world.sandbox.is_live(await world.browser(token, world.brokers[1]))
    assert anna.calls() == ["refresh", "refresh", "force"]


async def test_a_holder_that_died_while_forcing_leaves_the_user_distrusted(world):
    anna, token = await expired_user(world)
    await claim_left_behind(world, anna, ClaimKind.FORCE)
    await world.later(seconds=A_CLAIM_S)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["force", "check"]
    assert (await anna.grant()).marks.distrusted


async def test_a_claim_that_holds_is_waited_for_by_callers_and_passed_over_ahead_of_time(world):
    anna, _ = await expired_user(world)
    await claim_left_behind(world, anna)
    asking = asyncio.create_task(anna.token())
    await world.notes.hears("lease.waited", 2)
    assert (await world.sweep()).claimed == 0
    assert anna.calls() == []
    await world.later(seconds=A_CLAIM_S)
    assert world.sandbox.is_live(await asking)


async def test_a_caller_who_waits_in_vain_is_told_to_come_back(worlds):
    quick = {"UPSTREAM_TIMEOUT": "0.2s", "DATABASE_TIMEOUT": "0.5s", "LEASE_TTL": "1s"}
    world = await worlds(CLAIM_DEADLINE="1s", **quick)
    anna, _ = await expired_user(world)
    await anna.set(claimed_at=world.broker.clock().replace(year=2100), claim_owner=DEAD_PROCESS)
    await anna.set(claim_kind="refresh", claim_epoch=1)
    with pytest.raises(RefreshInProgress):
        await anna.token()


async def test_the_worker_takes_up_a_claim_that_was_left(world):
    anna, _ = await expired_user(world)
    await claim_left_behind(world, anna)
    await world.later(seconds=A_CLAIM_S)
    assert (await world.sweep()).rotated == 1
    assert anna.calls() == ["refresh"]
    assert [facts["trigger"] for facts in world.heard("refresh.rotated")] == ["recovery"]


async def test_a_caller_who_comes_while_the_worker_refreshes_is_given_its_pair(pair_of_brokers):
    world = pair_of_brokers
    service, worker = world.brokers
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        sweeping = asyncio.create_task(world.sweep(worker))
        await gate.arrived()
        asking = asyncio.create_task(world.browser(token, service))
        await world.notes.hears("lease.waited")
    assert await asking == (await anna.tokens())[0]
    assert (await sweeping).rotated == 1
    assert anna.calls() == ["refresh"]


async def test_the_pair_of_a_holder_that_was_overtaken_is_discarded(pair_of_brokers):
    world = pair_of_brokers
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        overtaken = asyncio.create_task(world.browser(token, world.brokers[0]))
        await gate.arrived()
        await world.later(seconds=A_CLAIM_S)
        current = await world.browser(token, world.brokers[1])
    assert await overtaken == current
    assert len(world.heard("refresh.fenced_out", anna)) == 1
    assert {await anna.token(broker) for broker in world.brokers} == {current}
    assert world.sandbox.is_live(current)


async def test_who_was_overtaken_waits_for_the_one_that_overtook(pair_of_brokers):
    world = pair_of_brokers
    _, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as answer, world.sandbox.gate("force") as force:
        overtaken = asyncio.create_task(world.browser(token, world.brokers[0]))
        await answer.arrived()
        await world.later(seconds=A_CLAIM_S)
        overtaking = asyncio.create_task(world.browser(token, world.brokers[1]))
        await force.arrived()
        answer.open()
        await world.notes.hears("refresh.fenced_out")
    assert await overtaken == await overtaking


async def test_a_sweep_that_meets_a_caller_of_the_same_process_lets_nobody_wait(world):
    anna = await world.user()
    await anna.token()
    await world.later(minutes=52)
    async with world.ports.leases.hold(anna.key):
        asking = asyncio.create_task(anna.rotate())
        await eventually(world.broker.refresh.in_flight)
        await world.sweep()
    await asking
    assert await world.sql("SELECT claim_epoch FROM grants") == [(1,)]
    assert anna.calls() == ["refresh"]


async def test_a_caller_who_leaves_does_not_stop_the_refresh(world):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        asking.cancel()
        await asyncio.wait({asking})
    await world.broker.drain(5)
    assert asking.cancelled()
    assert world.sandbox.is_live((await anna.tokens())[0])
    assert anna.calls() == ["refresh"]


async def test_draining_waits_for_the_flights_that_are_under_way(world):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        draining = asyncio.create_task(world.broker.drain(5))
        assert await world.broker.drain(0) == 1
        assert not draining.done()
    assert await draining == 0
    assert await asking == (await anna.tokens())[0]


async def test_draining_writes_the_first_uses_down(world):
    anna = await world.user()
    await anna.token()
    await world.broker.drain(5)
    assert (await anna.grant()).first_used_at is not None
