"""Another deployment works with the same OAuth client, as staging with the secret of production does.

Each of the two spends the other's refresh tokens, and its force-refresh kills the other's pair.
"""

from contextlib import suppress

import pytest

from service.broker.errors import TooManyRequests
from tests.support.world import upstream_client


def force_elsewhere(world, anna):
    """The other deployment replaces every token of the user: ours are dead."""
    client = world.sandbox.client(upstream_client("default"))
    world.sandbox.state.replace_all(client, world.sandbox.user(anna.upstream_id))


async def refresh_elsewhere(world, anna):
    """The other deployment spends our refresh token; the access token lives on."""
    await anna.lose_refresh_token()


async def test_ahead_of_time_it_costs_one_force_a_lifetime_and_none_while_the_access_token_lives(world):
    anna, _ = await world.used_user()
    for _ in range(2):
        await refresh_elsewhere(world, anna)
        forces = len(anna.calls("force"))
        for _ in range(5):
            await world.later(minutes=11)
            await world.sweep()
        assert len(anna.calls("force")) == forces
        await world.later(minutes=6)
        await world.sweep()
        assert len(anna.calls("force")) == forces + 1
        await anna.token()


async def test_pages_of_both_sides_cost_no_more_forces_than_rotations_are_allowed(worlds):
    world = await worlds(USER_ROTATIONS="6/min")
    anna, token = await world.used_user()
    for _ in range(10):
        force_elsewhere(world, anna)
        await world.later(seconds=31)
        with suppress(TooManyRequests):
            token = await world.browser(token)
    assert 1 <= len(anna.calls("force")) <= 7


@pytest.mark.parametrize(("times", "alarms"), [(2, 0), (3, 1)])
async def test_more_than_two_in_an_hour_are_an_alarm(world, times, alarms):
    anna, token = await world.used_user()
    for _ in range(times):
        force_elsewhere(world, anna)
        await world.later(seconds=31)
        token = await world.browser(token)
        assert world.sandbox.is_live(token)
    assert len(anna.calls("force")) == times
    assert len(world.heard("grant.contended", anna)) == alarms
