"""Whatever ails PostgreSQL: live tokens are served, no refresh token is spent, and what was issued is kept."""

import pytest

from tests.support.served import ANYWHERE, served
from tests.support.world import open_world


@pytest.fixture
def postgres(stoppable):
    return stoppable[0].postgres


@pytest.fixture
async def world(stoppable, tmp_path):
    servers, url = stoppable
    async with open_world(url, servers.valkey.url, tmp_path, brokers=2, **ANYWHERE) as opened:
        yield opened


@pytest.fixture
async def house(world):
    async with served(world) as opened:
        yield opened


async def used_user(world, name="anna", **age):
    person = await world.user(name)
    token = await person.token()
    await world.later(**age)
    return person, token


async def test_without_it_the_app_is_given_live_tokens_by_a_key_that_vouches(world, house, postgres):
    anna, _ = await used_user(world, minutes=5)
    token = await anna.token()
    postgres.stop()
    status, body = await house.token(anna)
    assert (status, body.get("accessToken")) == (200, token)
