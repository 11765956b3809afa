"""The promises of the budget port, kept with real Valkey and in memory alike.

Rates are high so that nobody waits long: 90 calls a second make a bucket of 600.
"""

import asyncio

import pytest

from service.adapters.budget import capacity_of
from tests.support.waiting import eventually

CLIENT, OTHER, CALM, SLOW = "first-client", "second-client", "calm-client", "slow-client"
PER_S = 90.0
READY = 600
RATES = {CLIENT: PER_S, OTHER: PER_S, CALM: 2.0, SLOW: 1 / 60}


@pytest.fixture
def budget(world):
    return world.budget(RATES)


async def empty(budget, client=CLIENT):
    """Take all that lies ready, as callers may; returns how much it was."""
    taken = 0
    while await budget.take(client, 0):
        taken += 1
    return taken


async def timed(coroutine):
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    return await coroutine, loop.time() - started_at


def test_no_minute_sees_more_than_ten_ninths_of_the_rate():
    assert capacity_of(450 / 60) + 450 == pytest.approx(500)
    assert capacity_of(PER_S) == READY


def test_at_least_one_call_may_lie_ready():
    assert capacity_of(1 / 60) == 1


async def test_what_lies_ready_is_taken_without_waiting(budget):
    _, seconds = await timed(asyncio.gather(*(budget.take(CLIENT, 0) for _ in range(50))))
    assert seconds < 1


async def test_no_more_is_given_than_the_bucket_holds_and_gains(budget):
    taken, seconds = await timed(empty(budget))
    assert READY <= taken <= READY + 1 + seconds * PER_S


async def test_who_waits_is_given_the_next_call(budget):
    await empty(budget)
    waits = [timed(budget.take(CLIENT, 5)) for _ in range(9)]
    given = sorted(await asyncio.gather(*waits), key=lambda answer: answer[1])
    assert all(taken for taken, _ in given)
    assert 0.05 < given[-1][1] < 2


async def test_who_cannot_be_served_in_time_hears_so_at_once(budget):
    await empty(budget, SLOW)
    taken, seconds = await timed(budget.take(SLOW, 30))
    assert taken is False
    assert seconds < 1


async def test_who_was_turned_away_has_taken_nothing(budget):
    await empty(budget)
    for _ in range(200):
        await budget.take(CLIENT, 0)
    assert await budget.take(CLIENT, 1) is True


async def test_replicas_share_one_bucket(world, budget):
    replica = world.budget(RATES)
    halves = [await budget.take(CLIENT, 0) for _ in range(READY // 2)]
    assert all(halves)
    taken, seconds = await timed(empty(replica))
    assert taken <= READY // 2 + 1 + (seconds + 1) * PER_S


async def test_clients_have_buckets_of_their_own(budget):
    await empty(budget)
    assert await budget.take(OTHER, 0) is True


async def test_a_caller_who_leaves_gives_the_call_back(world, budget):
    await budget.take(SLOW, 0)
    leaver = asyncio.create_task(budget.take(SLOW, 100))
    await eventually(lambda: len(world.notes.heard) == 2)
    leaver.cancel()
    await asyncio.wait({leaver})
    await budget.give_back(SLOW, 1)
    assert await budget.take(SLOW, 0) is True


# --- Ahead of time --------------------------------------------------------------------------------------


async def test_work_ahead_of_time_leaves_callers_half(budget):
    taken = await budget.take_ahead(CLIENT, 10_000)
    assert READY / 2 <= taken <= READY / 2 + 1
    assert await empty(budget) >= READY / 2


async def test_work_ahead_of_time_gets_no_more_than_it_asked_for(budget):
    assert await budget.take_ahead(CLIENT, 7) == 7
    assert await budget.take_ahead(CLIENT, 0) == 0
    assert await budget.take_ahead(CLIENT, -1) == 0


async def test_work_ahead_of_time_gets_nothing_of_the_callers_share(budget):
    await budget.take_ahead(OTHER, 10_000)
    assert await budget.take_ahead(SLOW, 10_000) == 1
    assert await budget.take_ahead(SLOW, 10_000) == 0


async def test_a_client_of_one_call_a_minute_may_still_be_worked_ahead_for(budget):
    assert await budget.take_ahead(SLOW, 1) == 1
    assert await budget.take(SLOW, 0) is False


async def test_what_was_given_back_can_be_taken_again(budget):
    assert await budget.take_ahead(SLOW, 1) == 1
    await budget.give_back(SLOW, 1)
    assert await budget.take(SLOW, 0) is True


async def test_giving_back_does_not_overfill_the_bucket(budget):
    await budget.give_back(SLOW, 50)
    assert await empty(budget, SLOW) == 1


# --- Pauses ---------------------------------------------------------------------------------------------


async def test_nobody_calls_during_a_pause(world, budget):
    replica = world.budget(RATES)
    await budget.pause(CLIENT, 60)
    for process in (budget, replica):
        assert await process.take(CLIENT, 5) is False
        assert await process.take_ahead(CLIENT, 5) == 0
    assert await replica.take(OTHER, 0) is True


async def test_a_caller_waits_a_short_pause_out(budget):
    await budget.pause(CLIENT, 0.2)
    taken, seconds = await timed(budget.take(CLIENT, 5))
    assert taken is True
    assert 0.15 < seconds < 2


async def test_a_shorter_pause_does_not_end_a_longer_one(budget):
    await budget.pause(CLIENT, 60)
    await budget.pause(CLIENT, 0.01)
    assert await budget.take(CLIENT, 1) is False


async def test_a_pause_also_holds_who_was_already_waiting(budget):
    await empty(budget, CALM)
    waiting = asyncio.create_task(budget.take(CALM, 2))
    await asyncio.sleep(0)
    await budget.pause(CALM, 60)
    assert await waiting is False


async def test_a_pause_does_not_let_everybody_go_at_its_end(budget):
    await empty(budget, SLOW)
    await budget.pause(SLOW, 0.1)
    taken = await asyncio.gather(*(budget.take(SLOW, 1) for _ in range(20)))
    assert sum(taken) <= 1


# --- Telling --------------------------------------------------------------------------------------------


async def test_what_remains_is_told(world, budget):
    await budget.take_ahead(CLIENT, 100)
    event, _, facts = world.notes.heard[-1]
    assert (event, facts["client"]) == ("budget.remaining", CLIENT)
    assert READY - 101 <= facts["value"] <= READY - 100


async def test_what_remains_is_never_told_as_less_than_nothing(world, budget):
    await empty(budget)
    await asyncio.gather(*(budget.take(CLIENT, 1) for _ in range(5)))
    assert min(facts["value"] for _, _, facts in world.notes.heard) == 0


async def test_a_client_without_a_rate_is_a_mistake(budget):
    with pytest.raises(KeyError):
        await budget.take("nobody", 0)
