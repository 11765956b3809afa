"""The end of arq's loop inside the worker: it must come, whatever the library makes of being cancelled."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

from worker.main import _end

WITHIN_S = 10.0


async def deaf_loop(begun):
    """Miss the first cancellation and go on, as a read that is answered at the same instant makes it."""
    begun.set()
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def closed():
    """What closing arq's connections does."""


async def test_a_loop_that_misses_its_cancellation_is_cancelled_again():
    begun = asyncio.Event()
    main = asyncio.create_task(deaf_loop(begun))
    await begun.wait()
    arq = SimpleNamespace(tasks={}, allow_pick_jobs=True, close=closed)

    ending = asyncio.create_task(_end(arq, main, drain_s=1.0))
    done, _ = await asyncio.wait({ending}, timeout=WITHIN_S)

    assert done
    assert main.cancelled()


async def test_what_made_the_loop_stop_is_told():
    async def lost():
        raise OSError("redis went away")

    main = asyncio.create_task(lost())
    await asyncio.wait({main})

    failed = await _end(SimpleNamespace(tasks={}, allow_pick_jobs=True, close=closed), main, drain_s=1.0)

    assert isinstance(failed, OSError)
