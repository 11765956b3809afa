"""A sweep goes on while more is due: never more claimed than is asked for, nothing held up, nothing left."""

import asyncio
from datetime import timedelta

from service.broker.sweeps import Swept

CLAIMED = "SELECT user_id FROM grants WHERE claim_owner IS NOT NULL ORDER BY due_at, user_id"
NAMES = "abcdefghij"


async def due_people(world, names=NAMES):
    """Users whose pairs are due, the first the most urgent."""
    people = [await world.user(name) for name in names]
    for person in people:
        await person.token()
    await world.later(minutes=55)
    for place, person in enumerate(people):
        urgency = timedelta(seconds=60 - place)
        since = "UPDATE grants SET due_at = clock_timestamp() - $2::interval WHERE user_id = $1"
        await world.sql(since, person.key.user_id, urgency)
    return people


def sweeping(world, most, ending=lambda: False):
    return asyncio.create_task(world.broker.sweeps.sweep("default", most, ending))


async def test_it_takes_batch_after_batch_until_nothing_is_due(world):
    people = await due_people(world)
    assert await sweeping(world, 4) == Swept(claimed=10, rotated=10)
    assert [person.calls() for person in people] == [["refresh"]] * 10
    assert await world.sql(CLAIMED) == []


async def test_no_more_is_claimed_at_a_time_than_it_was_given_and_the_most_urgent_first(world):
    await due_people(world)
    with world.sandbox.gate("refresh") as gate:
        sweep = sweeping(world, 4)
        await gate.arrived(4)
        assert {user for (user,) in await world.sql(CLAIMED)} == set("abcd")
    assert (await sweep).rotated == 10


async def test_one_whose_call_hangs_holds_up_nobody_who_comes_after_it(world):
    people = await due_people(world)
    with world.sandbox.gate("refresh", user=people[0].upstream_id) as gate:
        sweep = sweeping(world, 4)
        await gate.arrived()
        await world.notes.hears("refresh.rotated", 9)
        assert not sweep.done()
    assert (await sweep).rotated == 10


async def test_two_workers_that_go_on_share_the_work_without_doing_any_twice(pair_of_brokers):
    world = pair_of_brokers
    people = await due_people(world)
    swept = await asyncio.gather(*(broker.sweeps.sweep("default", 2) for broker in world.brokers))
    assert sum(one.rotated for one in swept) == 10
    assert [person.calls() for person in people] == [["refresh"]] * 10


async def test_where_the_budget_is_short_it_says_that_there_may_be_more(worlds):
    world = await worlds(UPSTREAM_RATE="90/min")
    await due_people(world)
    budget = world.ports.budget
    await budget.give_back("default", 100)
    swept = await sweeping(world, 500)
    assert swept == Swept(claimed=5, rotated=5, more=True)
    await budget.give_back("default", 100)
    assert (await sweeping(world, 500)).rotated == 5
    await budget.give_back("default", 100)
    assert await sweeping(world, 500) == Swept()


async def test_a_process_that_ends_finishes_what_it_has_begun_and_lets_the_rest_go_at_once(world):
    people = await due_people(world)
    world.broker.sweeps._places = asyncio.Semaphore(1)
    ending = asyncio.Event()
    with world.sandbox.gate("refresh") as gate:
        sweep = sweeping(world, 4, ending.is_set)
        await gate.arrived()
        ready = await budget_left(world)
        ending.set()
    swept = await sweep
    assert (swept.claimed, swept.rotated, swept.parked) == (4, 1, 3)
    assert [len(person.calls()) for person in people] == [1] + [0] * 9
    assert await world.sql(CLAIMED) == []
    assert await budget_left(world) >= ready + 3


async def test_what_an_ending_process_let_go_another_takes_up(pair_of_brokers):
    world = pair_of_brokers
    people = await due_people(world)
    world.broker.sweeps._places = asyncio.Semaphore(1)
    ending = asyncio.Event()
    with world.sandbox.gate("refresh") as gate:
        sweep = sweeping(world, 4, ending.is_set)
        await gate.arrived()
        ending.set()
    await sweep
    await world.later(seconds=2)
    assert (await world.sweep(world.brokers[1])).rotated == 9
    assert [person.calls() for person in people] == [["refresh"]] * 10


async def test_a_process_that_ends_and_has_lost_its_claim_leaves_the_other_to_it_and_says_so(world):
    anna, bert = await due_people(world, "ab")
    world.broker.sweeps._places = asyncio.Semaphore(1)
    ending = asyncio.Event()
    with world.sandbox.gate("refresh", user=anna.upstream_id) as gate:
        sweep = sweeping(world, 4, ending.is_set)
        await gate.arrived()
        taken_over = "UPDATE grants SET claim_owner = 'another', claim_epoch = claim_epoch + 1"
        await world.sql(f"{taken_over} WHERE user_id = 'b'")
        ending.set()
    await sweep
    assert len(world.heard("refresh.fenced_out", bert)) == 1
    assert await world.sql(CLAIMED) == [("b",)]


async def test_a_claim_that_another_had_left_is_carried_out_by_a_process_that_ends(world):
    (anna,) = await due_people(world, "a")
    await world.ports.claims.claim(anna.key, await generation_of(world, anna), "one-that-was-killed")
    await world.later(minutes=1)
    began = []

    def ending():
        """Not while it is claimed, and from then on."""
        began.append(True)
        return len(began) > 1

    assert (await sweeping(world, 4, ending)).rotated == 1


async def test_a_process_that_ends_claims_nothing(world):
    await due_people(world)
    assert await sweeping(world, 4, lambda: True) == Swept()
    assert await world.sql(CLAIMED) == []


async def generation_of(world, person):
    ((generation,),) = await world.sql("SELECT generation FROM grants WHERE user_id = $1", person.key.user_id)
    return generation


async def budget_left(world):
    """How many calls lie ready beyond the callers' share; they are given back at once."""
    taken = await world.ports.budget.take_ahead("default", 1000)
    await world.ports.budget.give_back("default", taken)
    return taken
