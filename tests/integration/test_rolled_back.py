"""A store that went back in time: a failover lost its last writes, or a backup was restored."""

import pytest
from redis.asyncio import Redis

from service.adapters.near import NearCache


class Snapshot:
    """What Redis held of every user when this was made."""

    def __init__(self, url):
        self._url = url
        self._held = {}

    async def keep(self):
        async with Redis.from_url(self._url) as redis:
            self._held = {name: await redis.dump(name) for name in await redis.keys("tb:u:*")}
        assert self._held

    async def bring_back(self):
        async with Redis.from_url(self._url) as redis:
            for name, value in self._held.items():
                await redis.restore(name, 600_000, value, replace=True)


@pytest.fixture
async def snapshot(redis_url):
    return Snapshot(redis_url)


async def forget_near(world):
    for broker in world.brokers:
        broker.answers._ports.cache._near = NearCache()


async def test_a_redis_that_lost_a_rotation_still_answers_with_a_token_that_works(world, snapshot):
    anna, _ = await world.used_user()
    await snapshot.keep()
    await anna.rotate()
    await snapshot.bring_back()
    await forget_near(world)
    assert world.sandbox.is_live(await anna.token())
    assert anna.calls() == ["refresh"]


async def test_a_redis_that_lost_a_force_heals_with_the_first_complaint(world, snapshot):
    anna, dead = await world.used_user()
    await snapshot.keep()
    current = await anna.rotate(force=True)
    await snapshot.bring_back()
    await forget_near(world)
    anna.forget_calls()
    assert await world.browser(dead) == current
    await forget_near(world)
    assert await anna.token() == current
    assert anna.calls("refresh") == anna.calls("force") == []


async def row_of(world):
    (row,) = await world.sql("SELECT * FROM grants")
    return {name: value for name, value in row.items() if name not in {"client", "user_id"}}


async def test_a_database_that_lost_a_rotation_has_the_user_back_and_uses_no_generation_twice(world):
    anna, _ = await world.used_user()
    restored = await row_of(world)
    await anna.rotate()
    lost = (await anna.grant()).generation
    await anna.set(**restored)
    await world.later(hours=2)
    assert world.sandbox.is_live(await anna.token())
    assert (await anna.grant()).generation > lost
    assert anna.calls() == ["refresh", "refresh", "force"]


async def test_a_token_of_the_rotation_it_lost_still_finds_its_user(world):
    anna, _ = await world.used_user()
    restored = await row_of(world)
    lost = await anna.rotate()
    await anna.set(**restored)
    await world.later(hours=2)
    assert world.sandbox.is_live(await world.browser(lost))
