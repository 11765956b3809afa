"""What upstream has issued is committed whatever fails on the way; what a store decides is heard at once."""

import pytest

from service.broker import persistence
from service.broker.errors import Conflict, StorageUnavailable
from service.broker.model import UserKey
from service.broker.persistence import persistently
from tests.support.cached import Notes

ANNA = UserKey("acme", "anna")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(persistence, "_AGAIN_S", 0.0)


def failing(*errors):
    """A write that fails in these ways before it succeeds, and how often it was tried."""
    left, tries = list(errors), []

    async def write():
        tries.append(None)
        if left:
            raise left.pop(0)
        return "written"

    return write, tries


async def test_a_database_that_cannot_answer_is_asked_again_for_as_long_as_it_takes():
    write, tries = failing(*[StorageUnavailable()] * 30)
    assert await persistently(write, Notes(), ANNA) == "written"
    assert len(tries) == 31


async def test_what_nobody_foresaw_does_not_lose_the_pair():
    write, _ = failing(RuntimeError("with a value"), KeyError("another"))
    notes = Notes()
    assert await persistently(write, notes, ANNA) == "written"
    assert [facts["reason"] for _, _, facts in notes.heard] == ["RuntimeError", "KeyError"]


async def test_what_nobody_foresaw_is_raised_when_it_stays():
    write, tries = failing(*[RuntimeError()] * 100)
    with pytest.raises(RuntimeError):
        await persistently(write, Notes(), ANNA)
    assert len(tries) == 6


async def test_what_a_store_decides_is_raised_at_once():
    write, tries = failing(Conflict("the e-mail belongs to another"))
    with pytest.raises(Conflict):
        await persistently(write, Notes(), ANNA)
    assert len(tries) == 1
