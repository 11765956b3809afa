"""Fixtures that every test may ask for: real PostgreSQL, real Valkey, a clean part of each per test."""

import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import redis

# `pytest` alone, unlike `python -m pytest`, does not put the project on the path.
sys.path.insert(0, str(Path(__file__).parent.parent))

from sandbox.embedded import folder, servers
from tests.support import aioresponses_shim, secrecy
from tests.support.databases import Databases
from tests.support.secrecy import GUARD

aioresponses_shim.install()

QUICK = {
    "postgres_options": {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
    "valkey_options": {"appendonly": "no"},
}


def pytest_configure(config):
    config.pluginmanager.register(secrecy)
    # A run that is told to end tidies up as after Ctrl-C: the servers' folder goes with them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def embedded_servers():
    """Both servers, shared by the whole run: read from them, never stop them."""
    with servers(**QUICK) as pair:
        yield pair


@pytest.fixture(scope="session")
def postgres(embedded_servers):
    """The shared PostgreSQL (sandbox.embedded.Postgres)."""
    return embedded_servers.postgres


@pytest.fixture(scope="session")
def valkey(embedded_servers):
    """The shared Valkey (sandbox.embedded.Valkey)."""
    return embedded_servers.valkey


@pytest.fixture(scope="session")
def databases(postgres):
    """Makes further databases: `with databases.migrated() as url`, `with databases.empty() as url`."""
    with closing(Databases(postgres.url, GUARD.database)) as made:
        yield made


@pytest.fixture
def database_url(databases):
    """The address of this test's own database, migrated to this release's schema."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(databases):
    """The address of this test's own database, with nothing in it."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def redis_url(valkey):
    """The address of a Valkey with nothing in it and nobody at it: a worker would take ticks of others."""
    with closing(redis.Redis.from_url(valkey.url)) as client:
        alone_at(client)
        client.flushall()
        client.script_flush()
    yield valkey.url
    GUARD.redis(valkey.url)


def alone_at(client, within_s=5.0):
    """Wait until those who were connected before have gone; somebody who stays is of another test."""
    ends_at = time.monotonic() + within_s
    while others := [one for one in client.client_list() if one["id"] != str(client.client_id())]:
        if time.monotonic() > ends_at:
            pytest.fail(f"another test's clients are still connected to the shared Valkey: {others}")
        time.sleep(0.05)


@pytest.fixture
def own_servers():
    """A PostgreSQL and a Valkey that belong to this test alone: it may stop, kill and restart them."""
    with servers(**QUICK) as pair:
        yield pair
        GUARD.servers(pair)


@pytest.fixture
def server_folder():
    """A folder for servers of the test's own: `tmp_path` is closed to the account that root's servers use."""
    with folder() as path:
        yield path
