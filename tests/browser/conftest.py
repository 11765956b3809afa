"""Fixtures of the browser's tests: the tools they need, one stage for all, and the stories told on it."""

import asyncio
import shutil
from contextlib import closing

import pytest
import pytest_asyncio
import redis

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.browser.building import built_page, missing_chromium, missing_node, missing_npm
from tests.browser.chromium import running_chromium
from tests.browser.pages import served_page
from tests.browser.stories import STORIES, client_of
from tests.browser.visits import Stage
from tests.support.needs import need
from tests.support.stack import running_stack

LIFETIME_S = 60
# A machine that runs all stories at once may be slow; a call given up early would look like a lost one.
PATIENT = {
    "UPSTREAM_TIMEOUT": "5s",
    "DATABASE_TIMEOUT": "2s",
    "LEASE_TTL": "8s",
    "CLAIM_DEADLINE": "8s",
    "PUBLIC_ANSWER_TIMEOUT": "16s",
    "DRAIN": "20s",
    "GRACE": "25s",
}


@pytest.fixture(scope="session")
def node():
    """The path of a Node.js that is new enough."""
    need(*missing_node())
    return shutil.which("node")


@pytest.fixture(scope="session")
def page_folder():
    """The folder of the built page."""
    need(*missing_node(), *missing_npm(), *missing_chromium())
    return built_page()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(page_folder, databases, valkey):
    """The broker, a browser and the page, with tokens of a minute."""
    with closing(redis.Redis.from_url(valkey.url)) as client:
        client.flushall()
    with databases.migrated() as database_url:
        async with served_page(page_folder) as origin, running_chromium() as chromium:
            clients = [
                SandboxClient(client_of(story), f"secret-of-{client_of(story)}", redirect_uris=(origin,))
                for story in STORIES
            ]
            config = SandboxConfig(clients=tuple(clients), lifetime_s=LIFETIME_S)
            async with running_stack(database_url, valkey.url, config, origins=[origin], **PATIENT) as stack:
                yield Stage(stack, chromium, origin)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(stage):
    """Each story by name, as a task: all are under way at once, because each takes minutes of real time."""
    tasks = {story.__name__: asyncio.create_task(story(stage, client_of(story))) for story in STORIES}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
