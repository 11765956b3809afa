"""Fixtures of the deployment's tests: the broker under a real Prometheus, and the images, each built once."""

import os
import sys
from contextlib import closing

import pytest
import pytest_asyncio

from sandbox.dev.ports import HOST, Ports
from sandbox.embedded import servers
from tests.conftest import QUICK
from tests.deploy.building import Builder, StepFailed
from tests.deploy.containers import open_folder
from tests.deploy.watched import running_watched, traffic
from tests.support.databases import Databases
from tests.support.prometheus import program
from tests.support.secrecy import GUARD

_NO_INDEX = "No matching distribution found"


def need(*missing):
    """Skip, and say why, where something is missing; on CI that is a failure."""
    if missing:
        refuse = pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip
        refuse("This test of the deployment did not run. " + " ".join(missing))


@pytest.fixture(scope="session")
def built():
    """Return an image by its stage's name; each is built once."""
    if sys.platform != "linux":
        need("The image is for Linux.")
    with open_folder("token-broker-image-") as folder:
        builder = Builder(folder)

        def image(name):
            try:
                return builder.image(name)
            except StepFailed as failed:
                if _NO_INDEX in str(failed):
                    need(f"The package index cannot be reached: {failed}")
                raise

        yield image


@pytest.fixture(scope="session")
def image(built):
    """The product's image."""
    return built("product")


@pytest.fixture
def unchanged(image):
    """Hold that nothing in the image has changed when the test ends."""
    before = image.digest()
    yield
    assert image.digest() == before, "something was written into the image"


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
    with (
        closing(Databases(breakable_servers.postgres.url, GUARD.database)) as databases,
        databases.migrated() as url,
    ):
        async with running_watched(breakable_servers, url, folder, second_worker_at) as watched:
            await traffic(watched)
            yield watched
