"""Upstream cannot be reached at all: nothing was sent, so nothing is in doubt."""

import asyncio
from datetime import timedelta

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.model import GrantState, Marks


async def test_live_tokens_are_served(world):
    anna, token = await world.used_user(minutes=52)
    await world.stop_upstream()
    assert [await anna.token(), await anna.token()] == [token, token]


async def test_callers_are_told_so_at_once_and_the_claim_is_free_again(world):
    anna, token = await world.used_user(hours=2)
    await world.stop_upstream()
    for broken in (anna.token, lambda: world.browser(token), lambda: world.create("bert")):
        with pytest.raises(UpstreamUnavailable):
            async with asyncio.timeout(1):
                await broken()
    grant = await anna.grant()
    assert (grant.state, grant.marks, grant.claim) == (GrantState.LIVE, Marks(), None)
    assert world.heard("circuit.opened") == []


async def test_a_complaint_about_a_fresh_token_rotates_nothing(world):
    anna, token = await world.used_user(minutes=1)
    generation = (await anna.grant()).generation
    await world.stop_upstream()
    with pytest.raises(UpstreamUnavailable):
        await world.browser(token)
    assert (await anna.grant()).generation == generation


async def test_ahead_of_time_each_failure_doubles_the_wait(world):
    anna, _ = await world.used_user(minutes=40)
    await anna.set(due_at=world.broker.clock(), refresh_at=world.broker.clock())
    await world.stop_upstream()
    waits = []
    for _ in range(4):
        await world.sweep()
        waits.append((await anna.grant()).retry_at - world.broker.clock())
        await anna.set(due_at=world.broker.clock())
    assert (await anna.grant()).failures == 4
    assert waits[0] < timedelta(seconds=38) < timedelta(minutes=2) < waits[3]
