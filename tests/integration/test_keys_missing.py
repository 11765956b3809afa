"""A process without the key of a user's tokens: it spends nothing and overwrites nothing."""

import pytest

from service.broker.errors import SealBroken
from tests.support.environment import key_of

STORED = "SELECT generation, key_id, access_sealed, refresh_sealed, state FROM grants"


@pytest.fixture
async def world(worlds):
    return await worlds()


@pytest.fixture
async def without_key(world, worlds):
    """Another world on the same stores, with other encryption keys and an upstream of its own."""
    return await worlds(ENCRYPTION_KEYS=f"e2:{key_of('x')}")


async def used_user(world, **age):
    anna = await world.user()
    token = await anna.token()
    await world.later(**age)
    return anna, token


ASKED = {
    "a page": lambda other, anna, token: other.browser(token),
    "a service": lambda other, anna, token: anna.token(other.broker),
    "a rotation": lambda other, anna, token: anna.rotate(other.broker),
    "a force": lambda other, anna, token: anna.rotate(other.broker, force=True),
}


@pytest.mark.parametrize("asking", ASKED)
async def test_whoever_asks_is_told_to_come_back_and_the_row_stays_as_it_is(world, without_key, asking):
    anna, token = await used_user(world, hours=2)
    before = await world.sql(STORED)
    with pytest.raises(SealBroken):
        await ASKED[asking](without_key, anna, token)
    assert await world.sql(STORED) == before
    assert without_key.sandbox.journal.calls == {}


async def test_ahead_of_time_nothing_is_spent_or_written_either(world, without_key):
    await used_user(world, minutes=52)
    before = await world.sql(STORED)
    await without_key.sweep()
    assert len(without_key.heard("grant.unreadable")) == 1
    assert await world.sql(STORED) == before
    assert without_key.sandbox.journal.calls == {}


async def test_what_it_finds_in_redis_is_a_miss_and_an_alarm(world, without_key):
    anna, token = await used_user(world, minutes=1)
    await anna.token()
    with pytest.raises(SealBroken):
        await anna.token(without_key.broker)
    assert len(without_key.heard("cache.foreign")) >= 1
    assert await world.browser(token) == token


async def test_with_the_key_everything_is_there_as_before(world, without_key):
    anna, token = await used_user(world, hours=2)
    with pytest.raises(SealBroken):
        await anna.token(without_key.broker)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls("force") == []
