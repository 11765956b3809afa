"""With Redis down the broker goes on from PostgreSQL; with PostgreSQL down it serves and spends nothing."""

import asyncio

import pytest

from service.broker.errors import StorageUnavailable, TokenUnknown
from tests.support.waiting import eventually
from tests.support.world import open_world


@pytest.fixture
def stores(stoppable):
    return stoppable.url, stoppable.valkey.url


@pytest.fixture
async def world(pair_of_brokers):
    """Two brokers on servers that may be stopped."""
    return pair_of_brokers


async def test_without_redis_concurrent_callers_of_two_processes_cost_one_refresh(world, stoppable):
    anna, token = await world.used_user()
    await world.later(hours=2)
    stoppable.valkey.stop()
    tabs = (world.browser(token, world.brokers[n % 2]) for n in range(20))
    assert set(await asyncio.gather(*tabs)) == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]


async def test_without_redis_live_tokens_are_served_and_complaints_checked(world, stoppable):
    anna, old = await world.used_user()
    current = await anna.rotate()
    anna.forget_calls()
    stoppable.valkey.stop()
    for broker in world.brokers:
        assert await world.browser(old, broker) == await anna.token(broker) == current
    assert await world.browser(current) == current
    assert anna.calls() == ["check"]


async def test_without_redis_users_are_created_and_swept(world, stoppable):
    stoppable.valkey.stop()
    anna, _ = await world.used_user()
    await world.broker.answers.uses.flush()
    await anna.set(due_at=world.broker.clock(), refresh_at=world.broker.clock())
    assert (await world.sweep(world.brokers[1])).rotated == 1
    assert anna.calls() == ["refresh"]


async def test_without_redis_a_revoke_counts_in_every_process(world, stoppable):
    anna, token = await world.used_user()
    await world.browser(token, world.brokers[1])
    stoppable.valkey.stop()
    await world.broker.users.revoke(anna.key, actor="test")
    for broker in world.brokers:
        with pytest.raises(TokenUnknown):
            await world.browser(token, broker)


async def test_when_redis_is_back_no_revoked_token_is(world, stoppable):
    anna, token = await world.used_user()
    stoppable.valkey.stop()
    await world.broker.users.revoke(anna.key, actor="test")
    stoppable.valkey.start()
    await eventually(world.broker.redis.ping)
    for broker in world.brokers:
        with pytest.raises(TokenUnknown):
            await world.browser(token, broker)
    assert len({await anna.token(broker) for broker in world.brokers}) == 1


async def test_without_postgres_live_tokens_come_from_the_cache(world, stoppable):
    anna, old = await world.used_user()
    current = await anna.rotate()
    await world.browser(old)
    anna.forget_calls()
    stoppable.postgres.stop()
    for broker in world.brokers:
        assert await anna.token(broker) == await world.browser(old, broker) == current
    assert anna.calls() == []


async def test_without_postgres_a_stale_token_is_served_and_nothing_is_spent(world, stoppable):
    anna, token = await world.used_user()
    await world.later(minutes=52)
    world.broker.answers._kicked.take((anna.key, (await anna.grant()).generation), world.broker.clock())
    assert await anna.token() == token
    stoppable.postgres.stop()
    assert await anna.token(world.brokers[1]) == token
    for broker in world.brokers:
        await broker.drain(5)
    assert anna.calls() == []


async def test_without_postgres_what_the_cache_does_not_hold_is_unavailable_and_nothing_is_spent(
    world, stoppable
):
    anna, token = await world.used_user()
    await world.later(hours=2)
    stoppable.postgres.stop()
    for broken in (anna.token, anna.rotate, lambda: world.browser(token), world.create):
        with pytest.raises(StorageUnavailable):
            await broken()
    with pytest.raises(StorageUnavailable):
        await world.broker.sweeps.sweep("default", 10)
    assert anna.calls() == []


async def test_when_postgres_is_back_everything_goes_on(world, stoppable):
    anna, token = await world.used_user()
    await world.later(hours=2)
    stoppable.postgres.stop()
    with pytest.raises(StorageUnavailable):
        await anna.token()
    stoppable.postgres.start()
    assert world.sandbox.is_live(await world.browser(token))
    assert world.heard("dependency.down")[-1]["dependency"] == "postgres"
    assert world.heard("dependency.up")[-1]["dependency"] == "postgres"


async def test_a_pair_issued_while_postgres_went_down_is_stored_when_it_is_back(world, stoppable):
    anna, token = await world.used_user()
    await world.later(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        stoppable.postgres.stop()
    await world.notes.hears("refresh.unsettled")
    stoppable.postgres.start()
    assert await asking == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


async def test_a_restart_of_postgres_costs_no_token(world, stoppable):
    anna, token = await world.used_user()
    await world.later(hours=2)
    stoppable.postgres.restart()
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["refresh"]


async def test_a_broker_leaves_no_task_behind(stoppable, tmp_path):
    before = asyncio.all_tasks()
    async with open_world(stoppable.url, stoppable.valkey.url, tmp_path) as world:
        anna = await world.user()
        stoppable.valkey.stop()
        await world.broker.users.revoke(anna.key, actor="test")
    assert asyncio.all_tasks() - before == set()
