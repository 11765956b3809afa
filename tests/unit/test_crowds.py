"""Those who follow are told what came of the first, once, whatever became of it."""

import asyncio

import pytest

from service.broker import crowds as crowds_module
from service.broker.crowds import Crowds
from service.broker.errors import RefreshInProgress, TokenUnknown, TooManyRequests, UpstreamUnavailable
from service.broker.model import Fingerprint
from service.broker.ports import CacheHit
from tests.support.builders import a_current, an_entry

TOKEN, OTHER = Fingerprint("f1", b"one"), Fingerprint("f1", b"other")
HIT = CacheHit(an_entry(), a_current())


async def a_few_turns():
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.fixture
async def told():
    return []


@pytest.fixture
async def crowds():
    """Crowds in which somebody has gone ahead with TOKEN."""
    crowds = Crowds()
    assert not crowds.follow(TOKEN, pytest.fail)
    return crowds


def followed(crowds, told, count=1):
    return [crowds.follow(TOKEN, told.append) for _ in range(count)]


async def test_those_who_follow_are_told_what_the_first_came_to(crowds, told):
    assert followed(crowds, told, 200) == [True] * 200
    with crowds.lead(TOKEN) as crowd:
        crowd.end(HIT)
        assert told == []
        await a_few_turns()
    assert told == [HIT] * 200


async def test_who_comes_after_the_end_begins_anew(crowds, told):
    with crowds.lead(TOKEN):
        followed(crowds, told)
    assert followed(crowds, told) == [False]
    await a_few_turns()
    assert told == [None]


async def test_only_one_leads_and_nobody_whom_no_one_follows(crowds):
    with crowds.lead(TOKEN):
        assert crowds.lead(TOKEN) is None
    assert crowds.lead(TOKEN) is None
    assert crowds.lead(OTHER) is None


async def test_others_are_no_part_of_it(crowds):
    assert not crowds.follow(OTHER, pytest.fail)


@pytest.mark.parametrize("error", [UpstreamUnavailable(), TooManyRequests()])
async def test_what_failed_for_the_first_fails_for_each_who_followed_and_for_no_more(crowds, told, error):
    followed(crowds, told, 2)
    with pytest.raises(type(error)), crowds.lead(TOKEN):
        raise error
    for _ in range(2):
        with pytest.raises(type(error)):
            crowds.lead(TOKEN)
    assert crowds.lead(TOKEN) is None
    await a_few_turns()
    assert told == [None, None]


async def test_what_failed_is_not_held_against_those_who_come_later(crowds, told, monkeypatch):
    monkeypatch.setattr(crowds_module, "_REMEMBERED_S", 0)
    followed(crowds, told)
    with pytest.raises(UpstreamUnavailable), crowds.lead(TOKEN):
        raise UpstreamUnavailable
    await a_few_turns()
    assert crowds.lead(TOKEN) is None
    assert len(crowds) == 0


@pytest.mark.parametrize("error", [TokenUnknown(), ValueError()])
async def test_what_is_said_of_the_first_alone_sends_the_others_their_own_way(crowds, told, error):
    followed(crowds, told)
    with pytest.raises(type(error)), crowds.lead(TOKEN):
        raise error
    await a_few_turns()
    assert told == [None]
    assert crowds.lead(TOKEN) is None


async def test_one_whose_time_is_up_leaves_the_others_with_the_same_answer(crowds, told):
    followed(crowds, told)
    with pytest.raises(asyncio.CancelledError), crowds.lead(TOKEN):
        raise asyncio.CancelledError
    with pytest.raises(RefreshInProgress):
        crowds.lead(TOKEN)


async def test_a_first_one_that_never_sets_out_is_not_waited_for(told, monkeypatch):
    monkeypatch.setattr(crowds_module, "_SHOWS_UP_S", 0)
    crowds = Crowds()
    crowds.follow(TOKEN, pytest.fail)
    followed(crowds, told)
    await a_few_turns()
    assert (told, len(crowds)) == ([None], 0)


async def test_one_that_cannot_take_its_answer_costs_the_others_nothing(crowds, told):
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said["exception"]))
    error = ValueError()

    def broken(_):
        raise error

    crowds.follow(TOKEN, broken)
    followed(crowds, told)
    crowds.lead(TOKEN).end(HIT)
    await a_few_turns()
    assert told == [error, HIT]


async def test_it_is_told_how_many_wait_for_a_refresh_and_of_each_who_comes_to_it(crowds, told):
    joined = []
    followed(crowds, told, 3)
    with crowds.lead(TOKEN) as crowd:
        crowd.refreshes(joined.append)
        followed(crowds, told, 2)
    assert joined == [3, 1, 1]
