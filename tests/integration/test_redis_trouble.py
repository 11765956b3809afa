"""Whatever ails Redis: requests are answered from PostgreSQL, and wait a quarter of a second at most."""

import asyncio

import pytest

from tests.support.redis_trouble import AILMENTS, Waits, redis_behind
from tests.support.served import ANYWHERE, served
from tests.support.world import open_world

AT_MOST_S = 0.25
LEEWAY_S = 0.15


@pytest.fixture
async def redis(stoppable):
    async with redis_behind(stoppable[0].valkey) as trouble:
        yield trouble


@pytest.fixture
async def world(stoppable, redis, tmp_path):
    async with open_world(stoppable[1], redis.url, tmp_path, **ANYWHERE) as opened:
        yield opened


@pytest.fixture
async def house(world):
    async with served(world) as opened:
        yield opened


async def people(world):
    """Users whose pair has ended, with and without their refresh token, and one with a fresh pair."""
    users = [await world.user(name) for name in ("ended", "lost", "fresh")]
    presented = [await user.token() for user in users]
    await users[1].lose_refresh_token()
    await world.later(hours=2)
    await users[2].rotate()
    presented.append((await users[2].tokens())[0])
    await world.drop_caches()
    return users, presented


@pytest.mark.parametrize("ailment", AILMENTS)
async def test_every_request_is_answered_and_waits_a_quarter_of_a_second_at_most(
    world, house, redis, ailment
):
    _, presented = await people(world)
    waits = Waits(world.broker)
    await redis.suffer(ailment)
    for token in presented:
        (status, body), waited_s = await waits.during(house.refresh(token))
        assert (status, world.sandbox.is_live(body["accessToken"])) == (200, True)
        assert waited_s < AT_MOST_S + LEEWAY_S


@pytest.mark.parametrize("ailment", AILMENTS)
async def test_a_refresh_during_which_it_falls_ill_waits_no_longer(world, house, redis, ailment):
    (ended, *_), (token, *_) = await people(world)
    ended.forget_calls()
    waits = Waits(world.broker)
    with world.sandbox.gate("refresh") as gate:
        asking = asyncio.create_task(waits.during(house.refresh(token)))
        await gate.arrived()
        await redis.suffer(ailment)
    (status, body), waited_s = await asking
    assert (status, body["accessToken"]) == (200, (await ended.tokens())[0])
    assert waited_s < AT_MOST_S + LEEWAY_S
    assert ended.calls() == ["refresh"]
