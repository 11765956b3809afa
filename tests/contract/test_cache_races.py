"""What holds when puts, blocks and look-ups of one user meet, in one process and in two."""

import asyncio
import itertools

import pytest

from tests.support.cached import ANNA, a_token, presented


async def find(cache, clock, generation):
    return await cache.find([presented(clock, generation=generation)[0]])


async def put(cache, clock, generation):
    await cache.put(a_token(clock, generation=generation), [presented(clock, generation=generation)])


@pytest.mark.parametrize("order", list(itertools.permutations(["put", "block", "find"])))
@pytest.mark.parametrize("processes", [1, 2])
async def test_a_block_that_has_returned_holds_whatever_was_under_way(world, order, processes):
    here, clock = world.cache(), world.clock
    there = here if processes == 1 else world.cache()
    await put(there, clock, 1)
    clock.advance(2)
    under_way = {
        "put": lambda: put(there, clock, 1),
        "block": lambda: here.block(ANNA, 1),
        "find": lambda: find(here, clock, 1),
    }
    await asyncio.gather(*(under_way[name]() for name in order))
    assert await find(here, clock, 1) is None
    assert await here.current(ANNA) is None
    clock.advance(here.near_life_s)
    assert await find(there, clock, 1) is None


@pytest.mark.parametrize("ticks", range(12))
async def test_an_answer_on_its_way_while_it_is_blocked_is_not_remembered(world, ticks):
    here, clock = world.cache(), world.clock
    await put(world.cache(), clock, 1)
    finding = asyncio.create_task(find(here, clock, 1))
    for _ in range(ticks):
        await asyncio.sleep(0)
    await here.block(ANNA, 1)
    await finding
    assert await find(here, clock, 1) is None


@pytest.mark.parametrize("ticks", range(12))
async def test_a_put_on_its_way_while_it_is_blocked_does_not_bring_it_back(world, ticks):
    here, clock = world.cache(), world.clock
    putting = asyncio.create_task(put(here, clock, 1))
    for _ in range(ticks):
        await asyncio.sleep(0)
    await here.block(ANNA, 1)
    await putting
    for cache in (here, world.cache()):
        assert await find(cache, clock, 1) is None


async def test_of_many_puts_at_once_the_newest_stands(world):
    processes, clock = [world.cache() for _ in range(4)], world.clock
    generations = [*range(1, 21), *range(20, 0, -1)]
    await asyncio.gather(
        *(put(cache, clock, gen) for cache, gen in zip(itertools.cycle(processes), generations, strict=False))
    )
    clock.advance(2)
    for cache in processes:
        assert (await cache.current(ANNA)).current.generation == 20


async def test_a_generation_reopened_elsewhere_is_believed_again_by_who_blocked_it(world):
    here, there, clock = world.cache(), world.cache(), world.clock
    await here.block(ANNA, 1)
    clock.advance(1)
    await there.put(a_token(clock, generation=1), reopen=True)
    assert (await here.current(ANNA)).current.generation == 1


async def test_a_reopening_and_a_newer_block_leave_the_newer_one_standing(world):
    here, there, clock = world.cache(), world.cache(), world.clock
    await here.block(ANNA, 1)
    await there.block(ANNA, 2)
    await here.put(a_token(clock, generation=1), reopen=True)
    clock.advance(2)
    await there.put(a_token(clock, generation=2))
    for cache in (here, there):
        assert await cache.current(ANNA) is None


async def test_a_caller_who_leaves_does_not_disturb_who_asks_for_the_same(world):
    here, clock = world.cache(), world.clock
    await put(world.cache(), clock, 1)
    leaves, stays = (asyncio.create_task(find(here, clock, 1)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    assert (await stays).current.key == ANNA
