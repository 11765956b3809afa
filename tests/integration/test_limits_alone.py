"""Limits on what costs something are each process's own: they hold without Redis as well."""

import asyncio

import pytest

from service.broker.errors import TooManyRequests
from tests.support.served import ANYWHERE, served
from tests.support.world import open_world

NEVER_ISSUED = "a-token-that-was-never-issued"


@pytest.fixture
async def world(stoppable, tmp_path):
    """A broker that allows two rotations and three unknown tokens a minute, and has lost its Redis."""
    limits = {"USER_ROTATIONS": "2/min", "ADDRESS_FAILURES": "3/min"}
    async with open_world(stoppable.url, stoppable.valkey.url, tmp_path, **limits, **ANYWHERE) as opened:
        stoppable.valkey.stop()
        yield opened


async def test_without_redis_a_users_rotations_are_limited_and_nobody_elses(world):
    anna, bert = await world.user("anna"), await world.user("bert")
    current = [await anna.rotate(), await anna.rotate()][-1]
    for costly in (anna.rotate, lambda: world.browser(current)):
        with pytest.raises(TooManyRequests):
            await costly()
    assert world.sandbox.is_live(await bert.rotate())
    assert anna.calls() == ["refresh", "refresh"]


async def test_without_redis_what_costs_nothing_is_not_limited(world):
    anna = await world.user()
    old, current = await anna.rotate(), await anna.rotate()
    assert {await world.browser(old) for _ in range(5)} == {current}


async def test_who_joins_a_flight_is_not_limited(world):
    anna = await world.user()
    token = await anna.token()
    await anna.set(expires_at=world.broker.clock())
    assert len(set(await asyncio.gather(*(world.browser(token) for _ in range(10))))) == 1
    assert anna.calls() == ["refresh"]


async def test_without_redis_unknown_tokens_of_an_address_are_limited_whatever_makes_them_unknown(world):
    anna = await world.user()
    old = await anna.token()
    await world.broker.users.revoke(anna.key, actor="test")
    async with served(world) as house:
        statuses = [(await house.refresh(token))[0] for token in (old, NEVER_ISSUED, old, NEVER_ISSUED, old)]
        current = await anna.token()
        given = (await house.refresh(current))[0]
    assert (statuses, given) == ([401, 401, 401, 429, 429], 200)
