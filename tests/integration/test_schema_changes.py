"""The schema is changed while a refresh token is spent: its pair is stored, and nobody is forced."""

import asyncio

import asyncpg
import pytest

from tests.support.world import open_world

CHANGES = {
    "expanded": "ALTER TABLE grants ADD COLUMN scope text, ADD COLUMN weight integer NOT NULL DEFAULT 1",
    "widened": "ALTER TABLE grants ALTER COLUMN failures TYPE bigint",
}


@pytest.fixture
async def world(database_url, redis_url, tmp_path):
    """A world whose database is this test's own to change."""
    async with open_world(database_url, redis_url, tmp_path) as opened:
        yield opened


async def expired_user(world):
    """A user whose pair has ended, with everything prepared that a rotation takes."""
    anna = await world.user()
    await anna.token()
    await anna.rotate()
    token = await anna.token()
    await world.later(hours=2)
    anna.forget_calls()
    return anna, token


@pytest.fixture
async def migrator(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    connection.terminate()


@pytest.mark.parametrize("change", CHANGES)
async def test_a_pair_issued_while_the_schema_changed_is_stored(world, migrator, change):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        await migrator.execute(CHANGES[change])
    assert await asking == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]
    assert world.heard("refresh.unsettled") == []


@pytest.mark.parametrize("change", CHANGES)
async def test_a_settlement_held_up_by_a_change_beyond_its_time_is_made_again(
    world, migrator, database_url, change
):
    anna, token = await expired_user(world)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(world.browser(token))
        await gate.arrived()
        async with migrator.transaction():
            await migrator.execute(CHANGES[change])
            gate.open()
            await world.notes.hears("refresh.unsettled")
    assert await asking == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]
