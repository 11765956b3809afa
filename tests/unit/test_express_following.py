"""The short way behind one who is on the long way with the same token: waited for, then tried once more."""

import asyncio

import pytest

from tests.support.at_hand import AtHandScript, fingerprint, hit_of
from tests.support.doors import CURRENT, HELD, open_house
from tests.support.talk import GOOD, HEALTH, talk
from tests.support.waiting import eventually

TOKEN = CURRENT.encode()
HIT = hit_of(fingerprint(HELD))


@pytest.fixture
def at_hand():
    """A cache that holds nothing, while somebody is on the long way with the same token."""
    at_hand = AtHandScript()
    at_hand.led = []
    return at_hand


@pytest.fixture
async def house(at_hand):
    async with open_house(at_hand=at_hand) as opened:
        yield opened


async def test_what_the_other_came_to_is_the_answer(house, at_hand):
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
        at_hand.led[0](HIT)
        assert TOKEN in await line.hear()

    assert house.answers.calls == []
    assert [done["status"] for done in house.notes.of("request.done")] == [200]


async def test_where_the_other_came_to_nothing_it_is_the_long_way(house, at_hand):
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
        at_hand.led[0](None)
        assert TOKEN in await line.hear()

    assert (len(house.answers.calls), len(at_hand.led)) == (1, 1)


async def test_what_is_near_and_not_to_be_given_is_waited_for_as_well(at_hand):
    at_hand.near, at_hand.refuses = hit_of, True
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
        at_hand.refuses = False
        at_hand.led[0](HIT)
        assert TOKEN in await line.hear()

    assert house.answers.calls == []


async def test_what_is_sent_meanwhile_is_answered_after_it(house, at_hand):
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
        line.say(HEALTH)
        at_hand.led[0](HIT)
        assert TOKEN in await line.hear()
        assert b'"ok"' in await line.hear()


async def test_one_who_has_left_is_given_nothing(house, at_hand):
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
    await eventually(lambda: line.connection.transport is None)
    at_hand.led[0](None)
    assert house.answers.calls == []


async def test_what_another_was_waited_for_is_no_wait_for_the_cache(at_hand):
    """Else the request had no time left for the cache, and went without it."""
    waited = []
    async with open_house(at_hand=at_hand, waited=waited.append) as house, talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.led)
        await asyncio.sleep(0.05)
        at_hand.led[0](None)
        await line.hear()

    [done] = house.notes.of("request.done")
    assert (sum(waited) < 0.04, done["seconds"] > 0.04) == (True, True)
