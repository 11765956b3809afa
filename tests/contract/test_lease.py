"""The promises of the lease port, kept with real Valkey and in memory alike."""

import asyncio

import pytest

from service.broker.ports import LeaseState
from tests.support.cached import ANNA, BERT
from tests.support.waiting import eventually

HELD = LeaseState(held=True, busy=False)
BUSY = LeaseState(held=False, busy=True)


async def state_of(leases, key=ANNA):
    async with leases.hold(key) as state:
        return state


async def test_one_process_at_a_time_holds_a_users_lease(world):
    async with world.leases().hold(ANNA) as first, world.leases().hold(ANNA) as second:
        assert (first, second) == (HELD, BUSY)


async def test_one_process_cannot_hold_a_lease_twice(world):
    leases = world.leases()
    async with leases.hold(ANNA), leases.hold(ANNA) as second:
        assert second == BUSY


async def test_users_have_leases_of_their_own(world):
    leases = world.leases()
    async with leases.hold(ANNA), leases.hold(BERT) as second:
        assert second == HELD


async def test_a_lease_is_free_as_soon_as_the_block_ends(world):
    leases, others = world.leases(), world.leases()
    for _ in range(20):
        assert await state_of(leases) == HELD
        assert await state_of(others) == HELD


async def test_nothing_goes_on_after_the_block(world):
    leases = world.leases()
    before = asyncio.all_tasks()
    await state_of(leases)
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_who_found_it_busy_does_not_free_it(world):
    leases, others = world.leases(), world.leases()
    async with leases.hold(ANNA):
        assert await state_of(others) == BUSY
        assert await state_of(others) == BUSY


async def test_an_error_in_the_block_comes_out_and_frees_the_lease(world):
    leases = world.leases()
    with pytest.raises(LookupError):
        async with leases.hold(ANNA):
            raise LookupError
    assert await state_of(world.leases()) == HELD


async def test_a_cancelled_block_frees_the_lease(world):
    entered = asyncio.Event()

    async def hold_for_ever():
        async with world.leases().hold(ANNA):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold_for_ever())
    await entered.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert await state_of(world.leases()) == HELD


async def test_a_lease_is_renewed_for_as_long_as_the_block_runs(world):
    ttl_s, others = 0.6, world.leases()
    states = []
    async with world.leases(ttl_s=ttl_s).hold(ANNA):
        ends_at = asyncio.get_running_loop().time() + 3 * ttl_s

        async def long_past():
            states.append(await state_of(others))
            return asyncio.get_running_loop().time() > ends_at

        await eventually(long_past)
    assert set(states) == {BUSY}


async def test_of_many_who_ask_at_once_one_is_given_the_lease(world):
    processes = [world.leases() for _ in range(5)]
    done, states = asyncio.Event(), []

    async def ask(leases):
        async with leases.hold(ANNA) as state:
            states.append(state)
            if len(states) == 50:
                done.set()
            await done.wait()

    await asyncio.gather(*(ask(leases) for leases in processes for _ in range(10)))
    assert sorted(states, key=str) == sorted([HELD, *[BUSY] * 49], key=str)


# --- With Redis -----------------------------------------------------------------------------------------


async def lease_key(client):
    (name,) = await client.keys("tb:l:*")
    return name


async def test_a_lease_whose_holder_died_ends_by_itself(redis_world, client):
    async with redis_world.leases(ttl_s=3).hold(ANNA):
        left_ms = await client.pttl(await lease_key(client))
    assert 2000 < left_ms <= 3000


async def test_a_lease_that_another_took_over_is_left_to_it(redis_world, client):
    async with redis_world.leases().hold(ANNA):
        name = await lease_key(client)
        await client.set(name, "somebody else")
    assert await client.get(name) == b"somebody else"


async def test_losing_the_lease_is_noted_and_disturbs_nobody(redis_world, client):
    async with redis_world.leases(ttl_s=0.15).hold(ANNA) as state:
        await client.set(await lease_key(client), "somebody else")
        await eventually(lambda: ("lease.lost", ANNA, {}) in redis_world.notes.heard)
    assert state == HELD


async def test_no_id_stands_raw_in_a_lease(redis_world, client):
    async with redis_world.leases().hold(ANNA):
        name = await lease_key(client)
        assert b"anna" not in name + await client.get(name)
