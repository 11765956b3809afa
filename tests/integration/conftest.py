"""Worlds for a test: one broker, two of them, or any other that a test describes."""

from contextlib import AsyncExitStack, closing

import asyncpg
import pytest
import redis

from sandbox.embedded import servers
from tests.support.collector import collecting
from tests.support.database_trouble import operator_of
from tests.support.databases import Databases
from tests.support.deployments import deployed
from tests.support.redis_trouble import redis_behind
from tests.support.secrecy import GUARD
from tests.support.served import ANYWHERE, served
from tests.support.stoppable import Stoppable
from tests.support.world import open_world

QUICK = {"postgres_options": {"fsync": "off"}, "valkey_options": {"appendonly": "no"}}


@pytest.fixture(scope="module")
def spare_servers():
    """Both servers again, for a module whose tests stop them."""
    with servers(**QUICK) as pair, closing(Databases(pair.postgres.url, GUARD.database)) as made:
        yield pair, made


@pytest.fixture
def stoppable(spare_servers):
    """A PostgreSQL and a Valkey that this test may stop, and a database of its own there."""
    pair, databases = spare_servers
    with closing(redis.Redis.from_url(pair.valkey.url)) as client:
        client.flushall()
    with databases.migrated() as url:
        yield Stoppable(pair.postgres, pair.valkey, url)
        pair.postgres.start()
        pair.valkey.start()
        GUARD.redis(pair.valkey.url)


@pytest.fixture
async def operator(stoppable):
    """A connection past the broker that makes its PostgreSQL ail."""
    async with operator_of(stoppable.url) as connected:
        yield connected


@pytest.fixture
async def ailing_redis(stoppable):
    """The Valkey that may be stopped, behind a proxy: `await ailing_redis.suffer("slow")`."""
    async with redis_behind(stoppable.valkey) as trouble:
        yield trouble


@pytest.fixture(scope="session")
def reused_database(databases):
    """One database for all these tests: emptying it takes a tenth of the time that a new one does."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
async def emptied_database(reused_database):
    yield reused_database
    connection = await asyncpg.connect(reused_database)
    await GUARD.tables(connection)
    tables = "users, grants, lineage, events, audit_events, notices, open_circuits, standings, minutes"
    await connection.execute(f"TRUNCATE {tables}")
    await connection.close()


@pytest.fixture
def stores(emptied_database, redis_url):
    """The addresses of this test's stores; a module whose stores ail has its own."""
    return emptied_database, redis_url


@pytest.fixture
async def worlds(stores, tmp_path):
    """Opens a world on this test's own stores: `await worlds(brokers=2, UPSTREAM_TIMEOUT="2s")`."""
    opened = []
    async with AsyncExitStack() as stack:

        async def open_one(**described):
            world = open_world(*stores, tmp_path, **described)
            opened.append(await stack.enter_async_context(world))
            return opened[-1]

        yield open_one
    for world in opened:
        GUARD.watch.look("what a broker noted", repr(world.notes.heard))


@pytest.fixture
async def world(worlds):
    """One client, one broker, tokens of an hour."""
    return await worlds()


@pytest.fixture
async def house(world):
    """The doors of this test's world, which has the settings ANYWHERE."""
    async with served(world) as opened:
        yield opened


@pytest.fixture
async def pair_of_brokers(worlds):
    """The same with two brokers, as two processes would hold them."""
    return await worlds(brokers=2)


@pytest.fixture
async def collector(monkeypatch):
    """A collector of traces, with OpenTelemetry's variables set so that worlds opened `traced` send to it."""
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector


@pytest.fixture
async def traced_world(collector, worlds):
    """One broker whose work is traced."""
    return await worlds(traced=True, **ANYWHERE)


@pytest.fixture
async def traced_house(traced_world):
    """Its doors."""
    async with served(traced_world) as opened:
        yield opened


@pytest.fixture(scope="module")
def durable_servers():
    """Both servers as they should be in production: the tests' usual ones lose what they have committed."""
    with servers() as pair, closing(Databases(pair.postgres.url, GUARD.database)) as made:
        yield pair, made


@pytest.fixture
async def deployment(durable_servers):
    """A deployment with which nothing is wrong, for the doctor to look at."""
    pair, databases = durable_servers
    with closing(redis.Redis.from_url(pair.valkey.url)) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    with databases.empty() as url:
        async with deployed(url, pair.valkey.url) as opened:
            yield opened
