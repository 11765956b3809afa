"""Runs of the whole stack: one that a module's tests share, and ones of a test's own."""

import pytest

from sandbox.embedded import folder
from tests.e2e.runs import Run


@pytest.fixture(scope="module")
def shared_run():
    """A run of this module's own that its tests read from and none ends."""
    with folder() as place:
        run = Run(place, "--lifetime", "60s")
        try:
            yield run.up()
        finally:
            run.close()


@pytest.fixture
def start(server_folder):
    """Starts runs of the test's own; what is still up at its end is ended."""
    runs = []

    def start_one(*options, **more):
        runs.append(Run(server_folder, *options, **more))
        return runs[-1]

    yield start_one
    for run in runs:
        run.close()
