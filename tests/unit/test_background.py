"""What runs beside the requests for the life of a process: it goes on, and it ends when it is told to."""

import asyncio
from contextlib import suppress

from service.broker.background import every
from service.broker.errors import StorageUnavailable
from service.broker.flights import end_task
from tests.support.cached import Notes

WITHIN_S = 10


async def until_well(failures):
    """Run something that fails in these ways at first; returns what was noted until it has run well."""
    notes, well, left = Notes(), asyncio.Event(), list(failures)

    async def run():
        if not left:
            return well.set()
        raise left.pop(0)

    task = asyncio.create_task(every(0.001, run, notes))
    async with asyncio.timeout(WITHIN_S):
        await well.wait()
        await end_task(task)
    return [(event, facts) for event, _, facts in notes.heard]


async def test_it_goes_on_after_what_nobody_foresaw_and_says_so():
    noted = await until_well([RuntimeError("with a secret"), KeyError("x")])

    assert noted == [
        ("background.failed", {"error": "RuntimeError"}),
        ("background.failed", {"error": "KeyError"}),
    ]


async def test_a_database_that_is_down_is_no_news_here():
    assert await until_well([StorageUnavailable(), StorageUnavailable()]) == []


async def test_the_first_time_is_at_once_where_that_is_asked_for():
    ran = asyncio.Event()

    async def run():
        ran.set()

    task = asyncio.create_task(every(1e6, run, Notes(), at_once=True))
    async with asyncio.timeout(WITHIN_S):
        await ran.wait()
        await end_task(task)


async def test_a_task_that_misses_its_cancellation_is_cancelled_again():
    begun = asyncio.Event()

    async def deaf():
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await begun.wait()
    async with asyncio.timeout(WITHIN_S):
        await end_task(task, again_s=0.01)
    assert task.cancelled()
