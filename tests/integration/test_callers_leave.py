"""A caller that hangs up in the middle of its request: the refresh it began goes on and is stored."""

import asyncio

import pytest

from tests.support.served import ANYWHERE
from tests.support.waiting import eventually


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


async def expired_user(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    return anna, token


@pytest.mark.parametrize("point", ["before", "after"])
async def test_the_pair_is_stored_and_the_next_caller_is_given_it(world, house, point):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", point) as gate:
        asking = asyncio.create_task(house.refresh(token))
        await gate.arrived()
        asking.cancel()
        await asyncio.wait({asking})
    await world.notes.hears("refresh.rotated")
    assert (await house.refresh(token))[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


async def test_others_who_wait_for_the_same_refresh_are_not_disturbed(world, house):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh") as gate:
        leaving, staying = (asyncio.create_task(house.refresh(token)) for _ in range(2))
        await gate.arrived()
        await world.notes.hears("refresh.joined")
        leaving.cancel()
        await asyncio.wait({leaving})
    assert (await staying)[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


async def test_an_order_goes_on_without_the_service_that_gave_it(world, house):
    anna, _ = await expired_user(world)
    order = ("POST", f"/v1/users/{anna.key.user_id}/refresh", {"force": True})
    with world.sandbox.gate("force", "after") as gate:
        ordering = asyncio.create_task(house.service(*order))
        await gate.arrived()
        ordering.cancel()
        await asyncio.wait({ordering})
    await eventually(lambda: world.heard("refresh.rotated"))
    assert world.sandbox.is_live((await anna.tokens())[0])
    assert anna.calls() == ["force"]
