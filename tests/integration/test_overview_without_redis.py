"""With Redis away an operator is still shown what stands in the database."""

import pytest

from worker.jobs import Jobs


@pytest.fixture
def stores(stoppable):
    return stoppable.url, stoppable.valkey.url


async def test_figures_are_shown_and_what_redis_knows_is_not_known(world, stoppable):
    broker = world.broker
    await world.user("anna")
    stoppable.valkey.stop()
    await Jobs(
        broker.sweeps, broker.upkeep, broker.clients, broker.clock, world.notes, world.settings.events_kept,
        broker.overview,
    ).upkeep({})  # fmt: skip

    sight = await broker.overview.look("default")
    assert (sight.count.users["idle"], sight.seen, sight.budget) == (1, None, None)
