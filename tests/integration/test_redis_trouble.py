"""Whatever ails Redis: requests are answered from PostgreSQL, and wait a quarter of a second at most."""

import asyncio

import pytest

from tests.support.redis_trouble import AILMENTS, Waits
from tests.support.served import ANYWHERE

AT_MOST_S = 0.25
LEEWAY_S = 0.15


@pytest.fixture
def stores(stoppable, ailing_redis):
    return stoppable.url, ailing_redis.url


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


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
    world, house, ailing_redis, ailment
):
    _, presented = await people(world)
    waits = Waits(world.broker)
    await ailing_redis.suffer(ailment)
    for token in presented:
        (status, body), waited_s = await waits.during(house.refresh(token))
        assert (status, world.sandbox.is_live(body["accessToken"])) == (200, True)
        assert waited_s < AT_MOST_S + LEEWAY_S


@pytest.mark.parametrize("ailment", AILMENTS)
async def test_a_refresh_during_which_it_falls_ill_waits_no_longer(world, house, ailing_redis, ailment):
    (ended, *_), (token, *_) = await people(world)
    ended.forget_calls()
    waits = Waits(world.broker)
    with world.sandbox.gate("refresh") as gate:
        asking = asyncio.create_task(waits.during(house.refresh(token)))
        await gate.arrived()
        await ailing_redis.suffer(ailment)
    (status, body), waited_s = await asking
    assert (status, body["accessToken"]) == (200, (await ended.tokens())[0])
    assert waited_s < AT_MOST_S + LEEWAY_S
    assert ended.calls() == ["refresh"]
