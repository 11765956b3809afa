"""A process that was started before its database was migrated: it spends nothing, and goes on by itself."""

import pytest

from service.adapters.postgres import Database
from service.broker.errors import StorageUnavailable
from sql.files import newest_version
from sql.migrate import migrate
from tests.support.served import ANYWHERE, served
from tests.support.waiting import eventually
from tests.support.world import open_world

AN_OLDER_ONE = f"DELETE FROM schema_migrations WHERE version = {newest_version()}"
THIS_ONE = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, 'x', 'x')"


@pytest.fixture
async def world(database_url, redis_url, tmp_path):
    async with open_world(database_url, redis_url, tmp_path, **ANYWHERE) as opened:
        yield opened


async def migrated(world):
    await world.sql(THIS_ONE, newest_version())


async def test_it_claims_nothing_until_the_database_is_migrated(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    await world.sql(AN_OLDER_ONE)
    newer = await world.open_broker()
    anna.forget_calls()
    with pytest.raises(StorageUnavailable):
        await world.browser(token, newer)
    assert anna.calls() == []
    await migrated(world)
    assert world.sandbox.is_live(await world.browser(token, newer))
    assert anna.calls("force") == []


async def test_it_still_serves_live_tokens_from_the_cache(world):
    anna = await world.user()
    token = await anna.token()
    await world.sql(AN_OLDER_ONE)
    assert await anna.token(await world.open_broker()) == token


async def test_its_probe_says_so_and_the_older_releases_goes_on(world):
    await world.sql(AN_OLDER_ONE)
    newer = await world.open_broker()
    async with served(world) as old_house, served(world, newer) as new_house:
        status, word, states = await new_house.readiness()
        assert (status, word, states["postgres"]) == (503, "schema_behind", "down")
        assert (await old_house.readiness())[:2] == (200, "ready")
        await migrated(world)
        await eventually(lambda: is_ready(new_house), within_s=20, every_s=0.2)


async def is_ready(house):
    return (await house.readiness())[:2] == (200, "ready")


async def test_it_names_the_command_that_is_missing(world):
    await world.sql(AN_OLDER_ONE)
    await world.open_broker()
    (down,) = world.heard("dependency.down")
    assert "run token-broker migrate" in down["reason"]


async def test_it_names_it_also_where_the_database_was_away_before(world):
    await world.sql(AN_OLDER_ONE)
    newer = Database(world.settings.database_url.value, world.notes, schema=newest_version())
    newer._note(up=False, reason="ConnectionRefusedError")
    await newer.start()
    for _ in range(2):
        assert not await newer.ping()
    await newer.aclose()
    (told,) = world.heard("schema.behind")
    assert "run token-broker migrate" in told["reason"]


async def test_an_empty_database_is_one_that_is_behind(empty_database_url, redis_url, tmp_path):
    opened = open_world(empty_database_url, redis_url, tmp_path, **ANYWHERE)
    async with opened as world, served(world) as house:
        assert (await house.readiness())[:2] == (503, "schema_behind")
        await migrate(empty_database_url)
        await eventually(lambda: is_ready(house), within_s=20, every_s=0.2)
