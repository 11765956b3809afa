"""A process that is started while PostgreSQL is away: it asks for no requests until it has seen it once."""

import pytest

from tests.support.served import ANYWHERE, served
from tests.support.waiting import eventually
from tests.support.world import open_world


@pytest.fixture
def postgres(stoppable):
    return stoppable[0].postgres


@pytest.fixture
async def world(stoppable, redis_url_of_stoppable, tmp_path):
    async with open_world(stoppable[1], redis_url_of_stoppable, tmp_path, **ANYWHERE) as opened:
        yield opened


@pytest.fixture
def redis_url_of_stoppable(stoppable):
    return stoppable[0].valkey.url


async def ready(house):
    return (await house.readiness())[:2] == (200, "ready")


async def test_it_is_unready_until_it_has_seen_it_and_never_again_after(world, postgres):
    postgres.stop()
    async with served(world, await world.open_broker()) as house:
        assert (await house.readiness())[:2] == (503, "starting")
        assert await house.alive()
        postgres.start()
        await eventually(lambda: ready(house), within_s=20)
        postgres.stop()
        await house.becomes_degraded("postgres")
        assert (await house.readiness())[:2] == (200, "degraded")


async def test_who_asks_it_all_the_same_is_served_from_the_cache(world, postgres):
    anna = await world.user()
    token = await anna.token()
    postgres.stop()
    async with served(world, await world.open_broker()) as house:
        status, body = await house.token(anna)
    assert (status, body["accessToken"]) == (200, token)
