"""The password for PostgreSQL or Redis is changed in its file: whoever connects from then on uses it."""

from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

FIRST, SECOND = "changing:the-first-password", "changing:the-second-password"


def as_user(url, login):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def database_file(world, tmp_path):
    """A file with the address of the world's database for a user of this test's own."""
    await world.sql("CREATE ROLE changing LOGIN SUPERUSER PASSWORD 'the-first-password'")
    file = tmp_path / "database_url"
    file.write_text(as_user(world.settings.database_url.value, FIRST))
    yield file
    await world.sql("DROP ROLE changing")


@pytest.fixture
async def redis_file(world, tmp_path):
    """The same for Redis; gives an administrator's connection as well."""
    file = tmp_path / "redis_url"
    async with Redis.from_url(world.settings.redis_url.value) as administrator:
        rights = ("on", ">the-first-password", "~*", "&*", "+@all")
        await administrator.execute_command("ACL", "SETUSER", "changing", *rights)
        file.write_text(as_user(world.settings.redis_url.value, FIRST))
        yield file, administrator
        await administrator.execute_command("ACL", "DELUSER", "changing")


async def changed(world, file):
    """Put the second password into the file, and see that it is read."""
    file.write_text(file.read_text().replace(FIRST, SECOND))
    await world.notes.hears("secret.replaced")


async def test_new_connections_to_postgresql_log_in_with_the_new_password(world, database_file):
    broker = await world.open_broker(DATABASE_URL="", DATABASE_URL_FILE=str(database_file))
    anna = await world.user()
    await anna.rotate(broker)
    await world.sql("ALTER ROLE changing PASSWORD 'the-second-password'")
    await changed(world, database_file)
    await broker.database._pool.expire_connections()
    assert world.sandbox.is_live(await anna.rotate(broker))
    assert world.heard("dependency.down") == []
    await broker.database.aclose()


async def test_connections_that_are_open_go_on(world, database_file):
    broker = await world.open_broker(DATABASE_URL="", DATABASE_URL_FILE=str(database_file))
    anna = await world.user()
    await anna.rotate(broker)
    await world.sql("ALTER ROLE changing PASSWORD 'the-second-password'")
    assert world.sandbox.is_live(await anna.rotate(broker))
    assert world.heard("dependency.down") == []
    await broker.database.aclose()


async def test_new_connections_to_redis_log_in_with_the_new_password(world, redis_file):
    file, administrator = redis_file
    broker = await world.open_broker(REDIS_URL="", REDIS_URL_FILE=str(file))
    assert await broker.redis.ping()
    await administrator.execute_command("ACL", "SETUSER", "changing", "resetpass", ">the-second-password")
    await changed(world, file)
    await administrator.execute_command("CLIENT", "KILL", "USER", "changing")
    assert await broker.redis.ping()
    assert await broker.redis.ping()


async def test_another_place_is_kept_out_until_the_process_begins_anew(world, database_file):
    broker = await world.open_broker(DATABASE_URL="", DATABASE_URL_FILE=str(database_file))
    anna = await world.user()
    database_file.write_text(f"{database_file.read_text()}_of_another_name")
    await world.notes.hears("secret.kept")
    await broker.database._pool.expire_connections()
    assert world.sandbox.is_live(await anna.rotate(broker))
    (kept,) = world.heard("secret.kept")
    assert "names another place" in kept["reason"]
    await broker.database.aclose()
