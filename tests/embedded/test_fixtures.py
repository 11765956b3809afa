import asyncpg
import pytest
from aiohttp import ClientSession
from aioresponses import aioresponses
from redis.asyncio import Redis


@pytest.fixture(params=["first", "second"])
def turn(request):
    return request.param


async def test_each_test_has_a_database_of_its_own(database_url, turn):
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table mark (turn text)")
    await connection.close()


async def test_each_test_finds_valkey_empty(redis_url, turn):
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("mark", turn)


async def test_a_database_can_be_left_with_a_connection_open(databases):
    with databases.empty() as url:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("select 1") == 1
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("select 1")


async def test_aioresponses_works_with_this_aiohttp():
    with aioresponses() as upstream:
        upstream.get("http://upstream.test/", payload={"fine": True})
        async with ClientSession() as session, session.get("http://upstream.test/") as answer:
            assert await answer.json() == {"fine": True}
