"""What was given is noted behind whoever asked: all of it, in order, as of when it was, and in time."""

import asyncio

import pytest

from service.broker.asking import Asking
from service.broker.behind import MOST_WAITING, Behind, Given
from tests.support.builders import NOON, SECOND, a_current, an_entry

HOME = "an address"


class Ear:
    """Takes in what it is told, under the name of what it stands for."""

    def __init__(self, name, told):
        self._name = name
        self._told = told

    def look_at(self, *what):
        self._told.append((self._name, *what))

    def note(self, current, *, by_browser, at):
        self._told.append((self._name, current, by_browser, at))

    exchanged = look_at


@pytest.fixture
def told():
    return []


@pytest.fixture
def behind(told):
    return Behind(*[Ear(name, told) for name in ("reuses", "uses", "audit")])


def given(number=0, entry=None, event="token.exchanged"):
    """A token that somebody was given so many seconds after noon."""
    return Given(a_current(), entry, Asking(f"r-{number}"), HOME, event, NOON + number * SECOND)


def ids(told):
    """Whose exchanges the audit was told of."""
    return [what[1].request_id for what in told if what[0] == "audit"]


async def test_nothing_is_noted_before_the_next_flush_and_then_it_is_once(behind, told):
    behind.note(given())
    assert told == []
    await behind.flush()
    await behind.flush()
    assert ids(told) == ["r-0"]


async def test_what_a_browser_was_given_is_looked_at_counted_as_used_and_kept(behind, told):
    entry, one = an_entry(6), given(3, an_entry(6))
    behind.note(one)
    await behind.flush()
    assert told == [
        ("reuses", entry, one.current.generation, HOME, one.at, one.asking),
        ("uses", one.current, True, one.at),
        ("audit", one.asking, "token.exchanged", "ok", one.at),
    ]


async def test_what_a_service_was_given_is_no_presented_token(behind, told):
    one = given(event="token.read")
    behind.note(one)
    await behind.flush()
    assert told == [("uses", one.current, False, NOON), ("audit", one.asking, "token.read", "ok", NOON)]


async def test_all_is_noted_in_the_order_in_which_it_was_given(behind, told):
    for number in range(1000):
        behind.note(given(number))
    await behind.flush()
    assert ids(told) == [f"r-{number}" for number in range(1000)]


async def test_a_flush_of_many_lets_others_in_between(behind, told):
    for number in range(1000):
        behind.note(given(number))
    flushing, seen = asyncio.create_task(behind.flush()), []
    while not flushing.done():
        await asyncio.sleep(0)
        seen.append(len(ids(told)))
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert 0 < max(steps) < 300


async def test_what_comes_while_it_is_flushed_is_noted_with_it(behind, told):
    for number in range(300):
        behind.note(given(number))
    flushing = asyncio.create_task(behind.flush())
    await asyncio.sleep(0)
    behind.note(given(300))
    await flushing
    assert ids(told)[-1] == "r-300"


async def test_two_who_flush_at_once_note_everything_once(behind, told):
    for number in range(1000):
        behind.note(given(number))
    await asyncio.gather(behind.flush(), behind.flush())
    assert sorted(ids(told)) == sorted(f"r-{number}" for number in range(1000))


def test_without_a_flush_no_more_waits_than_may_and_nothing_is_lost(behind, told):
    """The loop may be too busy for the background; the oldest are noted then."""
    for number in range(3 * MOST_WAITING):
        behind.note(given(number))
        assert number + 1 - len(told) // 2 <= MOST_WAITING
    noted = ids(told)
    asyncio.run(behind.flush())
    assert noted == [f"r-{number}" for number in range(len(noted))]
    assert len(ids(told)) == 3 * MOST_WAITING
