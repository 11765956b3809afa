"""First uses are written behind: once a generation, together, and kept when they cannot be written."""

import asyncio

import pytest

from service.broker.errors import StorageUnavailable
from service.broker.model import UserKey
from service.broker.uses import Uses
from tests.support.builders import a_current
from tests.support.cached import ANNA, BERT, StoppedClock


class Shelf:
    """A grant store that keeps what it is given; it can be down, or slow behind a gate."""

    def __init__(self):
        self.written = []
        self.down = False
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def note_uses(self, uses):
        self.asked.set()
        await self.open.wait()
        if self.down:
            raise StorageUnavailable
        self.written.append(uses)

    def last(self):
        return {(use.key, use.generation, use.by_browser) for use in self.written[-1]}


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def uses(shelf, clock):
    return Uses(shelf, clock)


def given_out(uses, *, key=ANNA, generation=7, by_browser=False):
    uses.note(a_current(key=key, generation=generation), by_browser=by_browser)


async def flush_meanwhile(uses, shelf, meanwhile):
    """Begin to flush, do something while the store is at it, and let the store go on."""
    shelf.open.clear()
    flushing = asyncio.create_task(uses.flush())
    await shelf.asked.wait()
    meanwhile(flushing)
    shelf.open.set()
    await asyncio.wait({flushing})
    return flushing


async def test_what_came_together_is_written_in_one_go(uses, shelf):
    given_out(uses)
    given_out(uses, key=BERT, generation=9, by_browser=True)
    assert await uses.flush() == 2
    assert len(shelf.written) == 1
    assert shelf.last() == {(ANNA, 7, False), (BERT, 9, True)}


async def test_a_use_bears_the_instant_it_happened(uses, shelf, clock):
    given_out(uses)
    happened = clock()
    clock.advance(30)
    await uses.flush()
    assert shelf.written[0][0].at == happened


async def test_nothing_to_write_asks_nothing_of_the_store(uses, shelf):
    assert await uses.flush() == 0
    assert shelf.written == []


async def test_a_generation_is_written_once_however_often_it_is_given(uses, shelf):
    for _ in range(3):
        given_out(uses)
        given_out(uses)
        await uses.flush()
    assert len(shelf.written) == 1


async def test_the_next_generation_is_written_again(uses, shelf):
    given_out(uses)
    await uses.flush()
    given_out(uses, generation=8)
    await uses.flush()
    assert shelf.last() == {(ANNA, 8, False)}


async def test_a_browser_after_a_service_is_a_use_of_its_own(uses, shelf):
    given_out(uses)
    await uses.flush()
    given_out(uses, by_browser=True)
    await uses.flush()
    assert shelf.last() == {(ANNA, 7, True)}


@pytest.mark.parametrize("browser_first", [True, False])
async def test_a_browser_among_several_callers_is_not_forgotten(uses, shelf, browser_first):
    given_out(uses, by_browser=browser_first)
    given_out(uses, by_browser=not browser_first)
    await uses.flush()
    assert shelf.last() == {(ANNA, 7, True)}


async def test_what_cannot_be_written_is_kept_and_written_later(uses, shelf):
    given_out(uses)
    shelf.down = True
    with pytest.raises(StorageUnavailable):
        await uses.flush()
    shelf.down = False
    assert await uses.flush() == 1
    assert shelf.last() == {(ANNA, 7, False)}


async def test_what_came_during_a_failed_write_joins_what_was_kept(uses, shelf):
    given_out(uses)
    shelf.down = True
    failed = await flush_meanwhile(uses, shelf, lambda _: given_out(uses, key=BERT))
    assert isinstance(failed.exception(), StorageUnavailable)
    shelf.down = False
    assert await uses.flush() == 2


async def test_a_newer_generation_that_came_during_a_failed_write_wins(uses, shelf):
    given_out(uses)
    shelf.down = True
    failed = await flush_meanwhile(uses, shelf, lambda _: given_out(uses, generation=8))
    assert isinstance(failed.exception(), StorageUnavailable)
    shelf.down = False
    await uses.flush()
    assert shelf.last() == {(ANNA, 8, False)}


async def test_a_browser_whose_write_failed_is_not_forgotten_for_a_service_that_came_after(uses, shelf):
    given_out(uses, by_browser=True)
    shelf.down = True
    failed = await flush_meanwhile(uses, shelf, lambda _: given_out(uses))
    assert isinstance(failed.exception(), StorageUnavailable)
    shelf.down = False
    await uses.flush()
    assert shelf.last() == {(ANNA, 7, True)}


async def test_a_write_that_is_cancelled_loses_nothing(uses, shelf):
    given_out(uses)
    cancelled = await flush_meanwhile(uses, shelf, lambda flushing: flushing.cancel())
    assert cancelled.cancelled()
    assert await uses.flush() == 1


async def test_a_late_use_of_an_older_generation_does_not_replace_the_newer(uses, shelf):
    given_out(uses, generation=8)
    given_out(uses, generation=7)
    await uses.flush()
    assert shelf.last() == {(ANNA, 8, False)}


async def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten_first(uses, shelf, monkeypatch):
    monkeypatch.setattr("service.broker.uses._REMEMBERED", 10)
    keys = [UserKey("first-client", f"user-{number}") for number in range(11)]
    for key in keys:
        given_out(uses, key=key)
    await uses.flush()
    for key in keys[:0:-1]:
        given_out(uses, key=key)
    assert await uses.flush() == 0
    given_out(uses, key=keys[0])
    assert await uses.flush() == 1
