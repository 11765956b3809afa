"""Fixtures of the sandbox's tests: a running sandbox, callers for its clients, a seeded pair."""

import pytest

from sandbox.calcom import Sandbox, app_of
from tests.sandbox.caller import SECOND, UNTHROTTLED, Caller


@pytest.fixture
def start(aiohttp_client):
    """Start a sandbox of a config and return it with a caller for its first client."""

    async def started(config=UNTHROTTLED):
        sandbox = Sandbox(config)
        http = await aiohttp_client(app_of(sandbox))
        return sandbox, Caller(http)

    return started


@pytest.fixture
async def world(start):
    return await start()


@pytest.fixture
def sandbox(world):
    return world[0]


@pytest.fixture
def api(world):
    return world[1]


@pytest.fixture
def second(api):
    return Caller(api.http, SECOND)


@pytest.fixture
def pair(sandbox):
    """A seeded user's first pair."""
    return sandbox.create_user("c1", "ann@example.com")[1]


@pytest.fixture
def user_id(pair):
    return pair.access.user_id
