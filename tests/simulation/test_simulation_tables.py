"""The simulated tables answer as PostgreSQL does, whatever they are asked and in whatever order."""

from datetime import UTC, datetime

import pytest

from tests.simulation.dialogue import Dialogue
from tests.simulation.tables import NOON
from tests.simulation.twins import Real, Simulated, Twins
from tests.support.stored import open_stores


def seconds_since_noon():
    return (datetime.now(UTC) - NOON).total_seconds()


@pytest.fixture
async def twins(database_url):
    async with open_stores(database_url) as stores:
        yield Twins(Simulated(seconds_since_noon), Real(stores))


@pytest.mark.parametrize("seed", range(16))
async def test_simulated_tables_answer_as_postgresql_does(twins, seed):
    await Dialogue(twins, seed).go_on(questions=100)
