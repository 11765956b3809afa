"""Worlds for a test: one broker, two of them, or any other that a test describes."""

from contextlib import AsyncExitStack

import pytest

from tests.support.world import open_world


@pytest.fixture
async def worlds(database_url, redis_url, tmp_path):
    """Opens a world on this test's own stores: `await worlds(brokers=2, UPSTREAM_TIMEOUT="2s")`."""
    async with AsyncExitStack() as stack:

        async def open_one(**described):
            opened = open_world(database_url, redis_url, tmp_path, **described)
            return await stack.enter_async_context(opened)

        yield open_one


@pytest.fixture
async def world(worlds):
    """One client, one broker, tokens of an hour."""
    return await worlds()


@pytest.fixture
async def pair_of_brokers(worlds):
    """The same with two brokers, as two processes would hold them."""
    return await worlds(brokers=2)
