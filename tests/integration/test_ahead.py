"""Work ahead of time: only for those who are there, in batches no larger than the budget, nobody blocked."""

import asyncio
from datetime import timedelta

from service.broker.sweeps import Swept
from worker.jobs import Jobs


async def used_user(world, name="anna"):
    person = await world.user(name)
    await person.token()
    return person


async def enrolled_user(world, name):
    """One that has cost the budget nothing."""
    person, enrolment = world.seed(name)
    await world.enrol(person, enrolment)
    await person.token()
    return person


async def due_in(world, person):
    where = "WHERE client = $1 AND user_id = $2"
    values = (person.key.client, person.key.user_id)
    ((wait,),) = await world.sql(f"SELECT due_at - clock_timestamp() FROM grants {where}", *values)
    return wait


async def test_a_pair_that_somebody_was_given_is_replaced_before_it_expires(world):
    anna = await used_user(world)
    await world.later(minutes=40)
    assert (await world.sweep()).claimed == 0
    await world.later(minutes=12)
    assert await world.sweep() == Swept(claimed=1, rotated=1, parked=0)
    assert anna.calls() == ["refresh"]
    assert [facts["trigger"] for facts in world.heard("refresh.rotated")] == ["ahead"]


async def test_a_pair_that_nobody_was_given_is_left_alone(world):
    anna = await world.user()
    await world.later(minutes=52)
    assert await world.sweep() == Swept()
    assert anna.calls() == []


async def test_a_closed_tab_costs_one_call_at_most(world):
    anna = await used_user(world)
    for _ in range(5):
        await world.later(minutes=52)
        await world.sweep()
    assert anna.calls() == ["refresh"]
    assert await due_in(world, anna) > timedelta(days=290)


async def test_an_open_tab_that_asks_once_a_lifetime_stays_covered(world):
    anna = await used_user(world)
    for _ in range(3):
        await world.later(minutes=51)
        await world.sweep()
        assert world.sandbox.is_live(await anna.token())
    await world.broker.drain(5)
    assert anna.calls() == ["refresh"] * 3
    assert {facts["trigger"] for facts in world.heard("refresh.rotated")} == {"ahead"}


async def test_the_first_use_of_a_generation_moves_its_date_back(world):
    anna = await used_user(world)
    await world.later(minutes=52)
    await world.sweep()
    assert await due_in(world, anna) > timedelta(days=290)
    await anna.token()
    await world.broker.answers.uses.flush()
    assert timedelta(minutes=43) < await due_in(world, anna) < timedelta(minutes=51)


async def test_an_unused_pair_is_kept_alive_before_its_refresh_token_ends(world):
    anna = await world.user()
    await world.later(days=299)
    assert (await world.sweep()).rotated == 0
    await world.later(days=2)
    assert (await world.sweep()).rotated == 1
    assert anna.calls() == ["refresh"]
    assert [facts["trigger"] for facts in world.heard("refresh.rotated")] == ["keepalive"]


async def test_every_pair_is_replaced_where_that_is_asked_for(worlds):
    world = await worlds(AHEAD="all")
    anna = await world.user()
    for _ in range(2):
        await world.later(minutes=52)
        await world.sweep()
    assert anna.calls() == ["refresh", "refresh"]


async def test_a_batch_is_no_larger_than_the_budget_in_hand(worlds):
    world = await worlds(UPSTREAM_RATE="90/min")
    people = [await enrolled_user(world, name) for name in "abcdefgh"]
    await world.later(minutes=52)
    assert (await world.sweep()).rotated == 5
    assert sum(len(person.calls()) for person in people) == 5
    assert len(await world.sql("SELECT FROM grants WHERE claim_owner IS NOT NULL")) == 0


async def test_what_is_not_called_for_is_given_back_to_the_budget(worlds):
    world = await worlds(UPSTREAM_RATE="90/min")
    for _ in range(10):
        assert await world.sweep() == Swept()
    assert await world.ports.budget.take_ahead("default", 5) == 5


async def test_two_workers_share_the_work_without_doing_any_twice(pair_of_brokers):
    world = pair_of_brokers
    people = [await used_user(world, name) for name in "abcdefgh"]
    await world.later(minutes=52)
    swept = await asyncio.gather(*(world.sweep(broker) for broker in world.brokers))
    assert sum(one.rotated for one in swept) == 8
    assert [person.calls() for person in people] == [["refresh"]] * 8


async def test_a_user_whose_calls_hang_holds_up_nobody_else(worlds):
    world = await worlds(UPSTREAM_TIMEOUT="0.8s")
    anna, bert = await used_user(world, "anna"), await used_user(world, "bert")
    await world.later(minutes=52)
    world.sandbox.fault("hang_before", "refresh", user=anna.upstream_id)
    await world.sweep()
    assert world.sandbox.is_live((await bert.tokens())[0])
    assert len(world.heard("refresh.rotated", bert)) == 1


async def test_a_row_that_cannot_be_opened_holds_up_nobody_and_is_left_as_it_is(world):
    anna, bert = await used_user(world, "anna"), await used_user(world, "bert")
    await world.later(minutes=52)
    await anna.set(refresh_sealed=b"not what was sealed")
    await world.sweep()
    assert bert.calls() == ["refresh"]
    kept = await world.sql("SELECT refresh_sealed FROM grants WHERE user_id = 'anna'")
    assert kept == [(b"not what was sealed",)]
    assert len(world.heard("grant.unreadable", anna)) == 1


async def test_a_tick_of_the_worker_sweeps_every_client(worlds):
    world = await worlds(clients=("acme", "zeta"))
    people = [await world.user("anna", client) for client in ("acme", "zeta")]
    for person in people:
        await person.token()
    await world.later(minutes=52)
    await world.broker.answers.uses.flush()
    broker = world.broker
    jobs = Jobs(broker.sweeps, broker.upkeep, broker.clients, broker.clock, world.notes, timedelta(days=90))
    await jobs.sweep({})
    assert [person.calls() for person in people] == [["refresh"], ["refresh"]]
    assert {facts["client"] for facts in world.heard("worker.sweep")} == {"acme", "zeta"}


async def test_fingerprints_past_their_window_are_pruned_and_others_kept(world):
    anna = await used_user(world)
    upkeep = world.broker.upkeep
    await upkeep.prepare_partitions(world.broker.clock())
    await anna.rotate()
    await world.later(days=3)
    current = await anna.token()
    await upkeep.prune(world.broker.clock(), timedelta(days=90))
    assert await world.sql("SELECT user_id FROM lineage") == [("anna",)]
    assert await world.browser(current) == current
