"""Who waits and holds the lease claims without another look; where that was not the last word, it looks."""

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.model import Trigger
from service.broker.recovery import Asker
from service.broker.refresh import Why

WAITING = Why(Trigger.REQUEST, Asker(waits=True))


async def none_left(*_):
    return False


class Budget:
    """The world's budget, with what was taken and given back."""

    def __init__(self, ports):
        self.out = 0
        self._inner = ports.budget.take, ports.budget.give_back
        ports.budget.take, ports.budget.give_back = self.take, self.give_back

    async def take(self, client, timeout_s):
        self.out += 1
        return await self._inner[0](client, timeout_s)

    async def give_back(self, client, count):
        self.out -= count
        await self._inner[1](client, count)


async def overtaken_user(world):
    """A user, and the generation before the one in force."""
    anna = await world.user()
    seen = (await anna.grant()).generation
    await anna.rotate()
    anna.forget_calls()
    return anna, seen


async def refreshed(world, person, seen):
    return (await world.broker.refresh.refresh_user(person.key, seen, WAITING)).grant


async def test_one_refresh_costs_one_call_of_the_budget(world):
    anna = await world.user()
    budget = Budget(world.ports)
    await refreshed(world, anna, (await anna.grant()).generation)
    assert (budget.out, anna.calls()) == (1, ["refresh"])


async def test_who_comes_too_late_is_given_what_there_is_and_gives_its_call_back(world):
    anna, seen = await overtaken_user(world)
    budget = Budget(world.ports)
    assert await refreshed(world, anna, seen) == await anna.grant()
    assert (budget.out, anna.calls()) == (0, [])


async def test_who_comes_too_late_needs_no_call_to_be_left(world):
    anna, seen = await overtaken_user(world)
    world.ports.budget.take = none_left
    assert (await refreshed(world, anna, seen)).generation > seen


async def test_without_a_call_left_nothing_is_claimed(world):
    anna = await world.user()
    world.ports.budget.take = none_left
    with pytest.raises(UpstreamUnavailable):
        await refreshed(world, anna, (await anna.grant()).generation)
    assert (await anna.grant()).claim is None
