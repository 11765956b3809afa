"""With Redis down the broker goes on from PostgreSQL; with PostgreSQL down it serves and spends nothing."""

import asyncio

import pytest

from service.broker.errors import StorageUnavailable, TokenUnknown
from tests.support.waiting import eventually
from tests.support.world import open_world


@pytest.fixture
async def world(stoppable, tmp_path):
    """Two brokers on servers that may be stopped."""
    servers, url = stoppable
    async with open_world(url, servers.valkey.url, tmp_path, brokers=2) as opened:
        yield opened


@pytest.fixture
def postgres(stoppable):
    return stoppable[0].postgres


@pytest.fixture
def valkey(stoppable):
    return stoppable[0].valkey


async def used_user(world, name="anna"):
    person = await world.user(name)
    return person, await person.token()


async def test_without_redis_concurrent_callers_of_two_processes_cost_one_refresh(world, valkey):
    anna, token = await used_user(world)
    await world.later(hours=2)
    valkey.stop()
    tabs = (world.browser(token, world.brokers[n % 2]) for n in range(20))
    assert set(await asyncio.gather(*tabs)) == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]


async def test_without_redis_live_tokens_are_served_and_complaints_checked(world, valkey):
    anna, old = await used_user(world)
    current = await anna.rotate()
    anna.forget_calls()
    valkey.stop()
    for broker in world.brokers:
        assert await world.browser(old, broker) == await anna.token(broker) == current
    assert await world.browser(current) == current
    assert anna.calls() == ["check"]


async def test_without_redis_users_are_created_and_swept(world, valkey):
    valkey.stop()
    anna, _ = await used_user(world)
    await world.broker.answers.uses.flush()
    await anna.set(due_at=world.broker.clock(), refresh_at=world.broker.clock())
    assert (await world.sweep(world.brokers[1])).rotated == 1
    assert anna.calls() == ["refresh"]


async def test_without_redis_a_revoke_counts_in_every_process(world, valkey):
    anna, token = await used_user(world)
    await world.browser(token, world.brokers[1])
    valkey.stop()
    await world.broker.users.revoke(anna.key, actor="test")
    for broker in world.brokers:
        with pytest.raises(TokenUnknown):
            await world.browser(token, broker)


async def test_when_redis_is_back_no_revoked_token_is(world, valkey):
    anna, token = await used_user(world)
    valkey.stop()
    await world.broker.users.revoke(anna.key, actor="test")
    valkey.start()
    await eventually(world.broker.redis.ping)
    for broker in world.brokers:
        with pytest.raises(TokenUnknown):
            await world.browser(token, broker)
    assert len({await anna.token(broker) for broker in world.brokers}) == 1


async def test_without_postgres_live_tokens_come_from_the_cache(world, postgres):
    anna, old = await used_user(world)
    current = await anna.rotate()
    await world.browser(old)
    anna.forget_calls()
    postgres.stop()
    for broker in world.brokers:
        assert await anna.token(broker) == await world.browser(old, broker) == current
    assert anna.calls() == []


async def test_without_postgres_a_stale_token_is_served_and_nothing_is_spent(world, postgres):
    anna, token = await used_user(world)
    await world.later(minutes=52)
    world.broker.answers._kicked.take((anna.key, (await anna.grant()).generation), world.broker.clock())
    assert await anna.token() == token
    postgres.stop()
    assert await anna.token(world.brokers[1]) == token
    for broker in world.brokers:
        await broker.drain(5)
    assert anna.calls() == []


async def test_without_postgres_what_the_cache_does_not_hold_is_unavailable_and_nothing_is_spent(
    world, postgres
):
    anna, token = await used_user(world)
    await world.later(hours=2)
    postgres.stop()
    for broken in (anna.token, anna.rotate, lambda: world.browser(token), world.create):
        with pytest.raises(StorageUnavailable):
            await broken()
    with pytest.raises(StorageUnavailable):
        await world.broker.sweeps.sweep("default", 10)
    assert anna.calls() == []


async def test_when_postgres_is_back_everything_goes_on(world, postgres):
    anna, token = await used_user(world)
    await world.later(hours=2)
    postgres.stop()
    with pytest.raises(StorageUnavailable):
        await anna.token()
    postgres.start()
    assert world.sandbox.is_live(await world.browser(token))
    assert world.heard("dependency.down")[-1]["dependency"] == "postgres"
    assert world.heard("dependency.up")[-1]["dependency"] == "postgres"


async def test_a_pair_issued_while_postgres_went_down_is_stored_when_it_is_back(world, postgres):
    anna, token = await used_user(world)
    await world.later(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        postgres.stop()
    await world.notes.hears("refresh.unsettled")
    postgres.start()
    assert await asking == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


async def test_a_restart_of_postgres_costs_no_token(world, postgres):
    anna, token = await used_user(world)
    await world.later(hours=2)
    postgres.restart()
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls() == ["refresh"]


async def test_a_broker_leaves_no_task_behind(stoppable, tmp_path):
    servers, url = stoppable
    before = asyncio.all_tasks()
    async with open_world(url, servers.valkey.url, tmp_path) as world:
        anna = await world.user()
        servers.valkey.stop()
        await world.broker.users.revoke(anna.key, actor="test")
    assert asyncio.all_tasks() - before == set()
