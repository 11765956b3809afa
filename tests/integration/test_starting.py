"""A process that is started while PostgreSQL is away: it asks for no requests until it has seen it once."""

import pytest

from tests.support.served import ANYWHERE, served
from tests.support.waiting import eventually


@pytest.fixture
def stores(stoppable):
    return stoppable.url, stoppable.valkey.url


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


async def ready(house):
    return (await house.readiness())[:2] == (200, "ready")


async def test_it_is_unready_until_it_has_seen_it_and_never_again_after(world, stoppable):
    stoppable.postgres.stop()
    async with served(world, await world.open_broker()) as house:
        assert (await house.readiness())[:2] == (503, "starting")
        assert await house.alive()
        stoppable.postgres.start()
        await eventually(lambda: ready(house), within_s=20)
        stoppable.postgres.stop()
        await house.becomes_degraded("postgres")
        assert (await house.readiness())[:2] == (200, "degraded")


async def test_who_asks_it_all_the_same_is_served_from_the_cache(world, stoppable):
    anna = await world.user()
    token = await anna.token()
    stoppable.postgres.stop()
    async with served(world, await world.open_broker()) as house:
        status, body = await house.token(anna)
    assert (status, body["accessToken"]) == (200, token)
