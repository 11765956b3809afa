"""Probes while a store ails: `/readyz` and the metric `degraded` name it, `/healthz` knows nothing of it."""

import pytest

from tests.support.database_trouble import hanging
from tests.support.served import ANYWHERE
from tests.support.waiting import eventually


@pytest.fixture
def stores(stoppable, ailing_redis):
    return stoppable.url, ailing_redis.url


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


async def knows_that_it_takes_no_writes(world, house):
    """Whether a probe has found it so; before, it may be named for the connections that were killed."""
    await house.readiness()
    return world.broker.database._read_only


def changes(world, dependency):
    told = world.heard("dependency.down") + world.heard("dependency.up")
    return len([facts for facts in told if facts["dependency"] == dependency])


@pytest.mark.parametrize("ailment", ["killed", "stopped", "slow", "read-only", "full", "loading"])
async def test_a_redis_that_ails_is_named_until_it_is_well(house, ailing_redis, ailment):
    await house.becomes_degraded()
    await ailing_redis.suffer(ailment)
    await house.becomes_degraded("redis")
    assert await house.alive()
    assert (await house.readiness())[:2] == (200, "degraded")
    await ailing_redis.heal()
    await house.becomes_degraded()
    assert (await house.readiness())[:2] == (200, "ready")


async def test_a_postgres_that_is_away_is_named_until_it_is_back(house, stoppable):
    stoppable.postgres.stop()
    await house.becomes_degraded("postgres")
    assert await house.alive()
    assert (await house.readiness())[:2] == (200, "degraded")
    stoppable.postgres.start()
    await house.becomes_degraded()
    assert (await house.readiness())[:2] == (200, "ready")


async def test_a_postgres_that_takes_no_writes_is_named_whatever_is_read_meanwhile(world, house, operator):
    anna = await world.user()
    old = await anna.token()
    await anna.rotate()
    await operator.take_no_writes()
    await eventually(lambda: knows_that_it_takes_no_writes(world, house), within_s=20)
    known = changes(world, "postgres")
    for _ in range(5):
        await world.drop_caches()
        assert (await house.refresh(old))[0] == 200
        assert await house.degraded() == {"postgres"}
    await operator.take_writes()
    await house.becomes_degraded()
    assert changes(world, "postgres") == known + 1


async def test_a_postgres_that_hangs_is_named_and_redis_is_not(house, stoppable):
    await house.becomes_degraded()
    with hanging(stoppable.postgres):
        await house.becomes_degraded("postgres")
        assert await house.alive()
    await house.becomes_degraded()


async def test_nobody_has_to_ask_for_it_to_be_noticed_that_postgres_is_back(world, house, stoppable):
    stoppable.postgres.stop()
    await house.becomes_degraded("postgres")
    stoppable.postgres.start()
    await world.notes.hears("dependency.up")
    assert await house.degraded() == set()


async def test_without_both_stores_the_process_lives_and_names_both(house, stoppable, ailing_redis):
    stoppable.postgres.stop()
    await ailing_redis.suffer("killed")
    await house.becomes_degraded("postgres", "redis")
    assert await house.alive()
    assert (await house.readiness())[0] == 200
    stoppable.postgres.start()
    await ailing_redis.heal()
    await house.becomes_degraded()
