"""Waiting: so long and no longer, and a cancelled wait stays a cancelled one."""

import asyncio

import pytest

from service.api.patience import Patience
from service.broker.errors import RefreshInProgress


async def forever():
    await asyncio.Event().wait()


async def at_once(result=1):
    return result


async def test_what_ends_in_time_is_returned():
    assert await Patience(5).wait(at_once(7)) == 7


async def test_every_wait_that_takes_too_long_ends_by_itself():
    patience = Patience(0.05)

    ends = await asyncio.gather(*(patience.wait(forever()) for _ in range(3)), return_exceptions=True)

    assert [type(end) for end in ends] == [RefreshInProgress] * 3


async def test_a_later_wait_is_not_ended_with_an_earlier_one():
    patience, gate = Patience(0.2), asyncio.Event()
    first = asyncio.create_task(patience.wait(forever()))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(patience.wait(gate.wait()))

    with pytest.raises(RefreshInProgress):
        await first
    gate.set()

    assert await second is True


async def test_patience_is_there_again_for_the_next_wait():
    patience = Patience(0.05)
    for _ in range(2):
        with pytest.raises(RefreshInProgress):
            await patience.wait(forever())


async def test_a_wait_cancelled_from_outside_stays_cancelled():
    patience = Patience(5)
    waiting = asyncio.create_task(patience.wait(forever()))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_the_work_raises_is_raised():
    async def fails():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Patience(5).wait(fails())
