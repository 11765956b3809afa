"""The worlds in which the ports that lean on Redis keep their promises."""

import pytest
import pytest_asyncio
import redis.asyncio

from tests.support.worlds import MemoryWorld, RedisWorld

PATIENT_S = 3.0


@pytest_asyncio.fixture(params=["valkey", "memory"])
async def world(request):
    """Each of the two worlds in turn; what they promise is tried here, not how soon they give up."""
    if request.param == "valkey":
        made = RedisWorld(request.getfixturevalue("redis_url"), deadline_s=PATIENT_S)
    else:
        made = MemoryWorld()
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def redis_world(redis_url):
    """The world with real Valkey alone, which may take its time as well."""
    made = RedisWorld(redis_url, deadline_s=PATIENT_S)
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def client(redis_url):
    """An operator's own connection to this test's Redis."""
    async with redis.asyncio.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def clock(world):
    """The clock of this test's world."""
    return world.clock


@pytest.fixture
def cache(world):
    """The cache of one process."""
    return world.cache()


@pytest.fixture
def other(world):
    """The cache of another process."""
    return world.cache()


@pytest.fixture
def release(tmp_path):
    """Writes a release's migrations: `release(first=SQL, second=SQL)` gives a folder of two files."""

    def write(**files):
        for number, (name, sql) in enumerate(files.items(), start=1):
            (tmp_path / f"{number:04}_{name}.sql").write_text(sql)
        return tmp_path

    return write
