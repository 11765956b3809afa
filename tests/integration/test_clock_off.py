"""A replica whose clock is wrong by minutes: it goes by the database's, and says how far it is off."""

import asyncio
from datetime import datetime, timedelta

import pytest

from service.adapters.postgres import clock

OFF = [timedelta(minutes=5), timedelta(minutes=-5)]


@pytest.fixture(params=OFF, ids=["fast", "slow"])
async def world(request, worlds, monkeypatch):
    """A broker with a right clock, and one with a wrong one."""
    opened = await worlds()

    class Off(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + request.param

    monkeypatch.setattr(clock, "datetime", Off)
    await opened.open_broker()
    return opened


async def test_pairs_end_when_the_database_says_so_whoever_stored_them(world):
    right, wrong = world.brokers
    anna = await world.user()
    ends = []
    for broker in (right, wrong):
        await anna.rotate(broker)
        ends.append((await anna.grant()).pair.expires_at)
    assert ends[1] - ends[0] < timedelta(minutes=1)
    assert abs(ends[1] - world.broker.clock() - timedelta(hours=1)) < timedelta(minutes=1, seconds=30)


async def test_nobody_is_given_a_token_that_has_ended_or_refused_one_that_lives(world):
    _, wrong = world.brokers
    anna = await world.user()
    token = await anna.token(wrong)
    await world.later(minutes=57)
    assert await anna.token(wrong) == token
    await world.broker.drain(5)
    await wrong.drain(5)
    await world.later(minutes=61)
    assert world.sandbox.is_live(await anna.token(wrong))


@pytest.mark.parametrize("holder", [0, 1])
async def test_a_claim_holds_as_long_as_the_database_says(world, holder):
    holds, waits = world.brokers[holder], world.brokers[1 - holder]
    anna = await world.user()
    await anna.token()
    await world.later(hours=2)
    with world.sandbox.gate("refresh") as gate:
        first = asyncio.create_task(anna.token(holds))
        await gate.arrived()
        second = asyncio.create_task(anna.token(waits))
        await world.notes.hears("lease.waited", 3)
        assert (await world.sweep(waits)).claimed == 0
        assert gate.arrivals == 1
    assert await first == await second
    assert anna.calls() == ["refresh"]


async def test_it_says_that_the_clock_is_off(world):
    said = world.heard("clock.off")
    assert len(said) == 1
    assert abs(abs(said[0]["seconds"]) - 300) < 5
