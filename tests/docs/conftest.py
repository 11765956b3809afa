"""Fixtures of the pages' tests: a broker, and in front of it what docs/sidecar.md shows."""

import asyncio
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field

import pytest_asyncio

from sandbox.calcom import SandboxClient, SandboxConfig
from sandbox.embedded import servers
from tests.conftest import QUICK
from tests.docs import fronts
from tests.docs.asking import code_of
from tests.docs.way import SLOW, Way
from tests.support.databases import Databases
from tests.support.secrecy import GUARD
from tests.support.stack import API_KEY, Stack, running_stack

CLIENT = "fronts-client"
FAILURES_A_MINUTE = 3
PATIENT = {
    "UPSTREAM_TIMEOUT": "10s",
    "DATABASE_TIMEOUT": "3s",
    "LEASE_TTL": "20s",
    "CLAIM_DEADLINE": "20s",
    "ANSWER_TIMEOUT": "8s",
    "PUBLIC_ANSWER_TIMEOUT": "35s",
    "DRAIN": "45s",
    "GRACE": "60s",
}


@dataclass
class Street:
    """The broker, the way to it, and the refresh addresses by the name of the front."""

    stack: Stack
    way: Way
    refresh: dict = field(default_factory=dict)
    apps: dict = field(default_factory=dict)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def street(tmp_path_factory):
    """Every front that the page shows, before one broker; both go on until the last test has run.

    On servers of its own: a worker on the shared Valkey would be given the ticks of other tests' workers.
    """
    config = SandboxConfig(clients=(SandboxClient(CLIENT, "fronts-secret"),))
    more = {"TRUSTED_PROXIES": "127.0.0.1", "ADDRESS_FAILURES": f"{FAILURES_A_MINUTE}/min"}
    async with AsyncExitStack() as stack:
        own = stack.enter_context(servers(**QUICK))
        databases = stack.enter_context(closing(Databases(own.postgres.url, GUARD.database)))
        database_url = stack.enter_context(databases.migrated())
        stack.callback(GUARD.redis, own.valkey.url)
        broker = await stack.enter_async_context(
            running_stack(database_url, own.valkey.url, config, **PATIENT, **more)
        )
        way = await stack.enter_async_context(Way(broker.public_url))
        environment = {
            "TOKEN_BROKER_URL": way.url,
            "TOKEN_BROKER_INTERNAL_URL": broker.internal_url,
            "TOKEN_BROKER_KEY": API_KEY,
            "CAL_OAUTH_CLIENT_ID": CLIENT,
        }
        folder = tmp_path_factory.mktemp("nginx")
        proxy = await stack.enter_async_context(fronts.nginx(way, folder))
        express = await stack.enter_async_context(fronts.express(environment))
        next_app = await stack.enter_async_context(fronts.next_app(environment))
        refresh = {"nginx": proxy, "express": express, "next": next_app}
        yield Street(
            broker,
            way,
            {name: f"{url}/api/cal/refresh" for name, url in refresh.items()}
            | {"rewrite": next_app + fronts.REWRITTEN},
            refresh,
        )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def slow(street):
    """An answer that takes as long as any may take, asked for through every front; by the front's name."""
    asked = {name: asyncio.create_task(code_of(url, SLOW)) for name, url in street.refresh.items()}
    yield asked
    for task in asked.values():
        task.cancel()
    await asyncio.gather(*asked.values(), return_exceptions=True)
