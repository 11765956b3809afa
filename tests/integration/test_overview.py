"""What an operator is shown, from the real stores: counts, sweeps, the budget and the circuit."""

from datetime import timedelta

import pytest

from service.broker.ports.overview import Concern, TroubleQuery
from worker.jobs import Jobs

EVERYBODY = TroubleQuery("default", 20)


def jobs(world, broker=None):
    each = broker or world.broker
    kept = timedelta(days=90)
    return Jobs(each.sweeps, each.upkeep, each.clients, each.clock, world.notes, kept, each.overview)


async def looked(world, broker=None):
    return await (broker or world.broker).overview.look("default")


async def concerns(world):
    found = await world.broker.overview.troubled(EVERYBODY)
    return {one.key.user_id: one.concern for one in found}


async def test_before_a_worker_has_counted_nothing_is_known(world):
    sight = await looked(world)
    assert (sight.count, sight.seen.sweep, sight.circuit) == (None, None, None)


async def test_who_is_in_use_is_fresh_and_who_is_not_is_idle(world):
    await world.used_user("anna")
    await world.user("bert")
    await world.broker.answers.uses.flush()
    await jobs(world).upkeep({})

    users = (await looked(world)).count.users
    assert {name: count for name, count in users.items() if count} == {"fresh": 1, "idle": 1}


async def test_what_came_due_is_overdue_until_a_sweep_has_replaced_it(world):
    await world.used_user("anna", minutes=54)
    await world.later(minutes=3)
    await jobs(world).upkeep({})
    assert (await looked(world)).count.users["overdue"] == 1
    assert await concerns(world) == {"anna": Concern.OVERDUE}

    await jobs(world).sweep({})
    await jobs(world).upkeep({})
    assert (await looked(world)).count.users["overdue"] == 0
    assert await concerns(world) == {}


async def test_every_process_sees_the_last_sweep_of_any_worker(worlds):
    world = await worlds(brokers=2)
    await world.used_user("anna", minutes=54)
    await jobs(world).sweep({})
    assert (await looked(world, world.brokers[1])).seen.sweep.claimed == 1


async def test_to_look_at_the_budget_takes_nothing_from_it(world):
    before = (await looked(world)).budget
    for _ in range(20):
        await looked(world)
    assert (await looked(world)).budget.ready == before.ready == before.capacity
    assert before.per_minute == pytest.approx(450)


async def test_calls_that_were_made_are_missing_from_the_budget(world):
    await world.user("anna")
    budget = (await looked(world)).budget
    assert budget.ready < budget.capacity


async def test_an_open_circuit_is_seen_by_processes_that_have_not_met_it(worlds):
    world = await worlds(brokers=2)
    world.broker.circuits.open("default", "upstream refuses the secret")
    await world.broker.overview.tell_circuits(world.broker.clients)

    assert (await looked(world)).circuit == "upstream refuses the secret"
    assert (await looked(world, world.brokers[1])).circuit == "upstream refuses the secret"


async def test_marks_are_reasons_to_look_at_somebody(world):
    for name, columns in {
        "anna": {"refused": True}, "bert": {"retry_at": world.broker.clock(), "failures": 2}
    }.items():  # fmt: skip
        await (await world.user(name)).set(**columns)
    assert await concerns(world) == {"anna": Concern.REFUSED, "bert": Concern.FAILING}


async def test_a_refresh_is_counted_in_its_minute(world):
    person = await world.user("anna")
    await person.rotate()
    await world.later(minutes=2)
    await jobs(world).upkeep({})

    happened = await world.broker.overview.history("default", timedelta(hours=1), timedelta(hours=1))
    assert sum(step.rotated for step in happened) == 1
