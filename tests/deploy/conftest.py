"""The broker under a real Prometheus, started once for all that is looked at and caused in it."""

import pytest
import pytest_asyncio

from sandbox.dev.ports import HOST, Ports
from sandbox.embedded import servers
from tests.conftest import QUICK
from tests.deploy.watched import running_watched, traffic
from tests.support.databases import Databases
from tests.support.prometheus import program


@pytest.fixture(scope="module")
def breakable_servers():
    """A PostgreSQL and a Valkey of this module's own: it may stop and start them."""
    with servers(**QUICK) as pair:
        yield pair


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(breakable_servers, tmp_path_factory):
    """It runs, everything has happened once, and Prometheus has seen it."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    second_worker_at = f"{HOST}:{Ports.free().worker}"
    with Databases(breakable_servers.postgres.url).migrated() as url:
        async with running_watched(breakable_servers, url, folder, second_worker_at) as watched:
            await traffic(watched)
            yield watched
