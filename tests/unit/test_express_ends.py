"""The short way where something ends: a look-up, a client, a connection's time, the process."""

import asyncio
import logging

import pytest

from service.api import protocol
from service.api.doors import ClientDoor
from service.broker.errors import StorageUnavailable
from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import CURRENT, KEY, ORIGIN, open_house
from tests.support.talk import BEARER, GOOD, HEALTH, request, talk
from tests.support.waiting import eventually

TOKEN, OK = CURRENT.encode(), b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def at_hand():
    """A cache that is asked, and answers when the test says so."""
    at_hand = AtHandScript()
    at_hand.waits = True
    return at_hand


@pytest.fixture
async def house(at_hand, caplog):
    """A house in whose loop nothing goes wrong unheard."""
    caplog.set_level(logging.WARNING)
    async with open_house(at_hand=at_hand) as opened:
        yield opened
    assert caplog.records == []


ENDS = {
    "fails": lambda asked: asked.set_exception(ConnectionError("hush")),
    "is cancelled": lambda asked: asked.cancel(),
    "finds nothing": lambda asked: asked.set_result(None),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_look_up_that_brings_nothing_costs_no_answer(house, at_hand, end):
    async with talk(house) as line:
        line.give(GOOD)
        end(at_hand.asked[0])
        assert TOKEN in await line.hear()

    assert len(house.answers.calls) == len(house.notes.of("request.done")) == 1


async def test_what_was_waited_for_in_vain_counts_for_the_request_and_for_no_other(at_hand):
    waited = []
    async with open_house(at_hand=at_hand, waited=waited.append) as house, talk(house) as line:
        line.give(GOOD)
        await asyncio.sleep(0.05)
        at_hand.asked[0].set_result(None)
        await line.hear()
        line.say(HEALTH)
        await line.hear()

    first, second = (done["seconds"] for done in house.notes.of("request.done"))
    assert (len(waited), waited[0] > 0.04, first > 0.04, second < 0.04) == (1, True, True, True)


@pytest.mark.parametrize("where", ["near", "far"])
async def test_an_error_on_the_short_way_is_noted_and_costs_no_answer(where):
    at_hand = AtHandScript(**{where: hit_of})
    at_hand.fails = ZeroDivisionError("hush")
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        assert TOKEN in await line.hear()

    (failed,) = house.notes.of("request.failed")
    assert failed["error"] == "ZeroDivisionError"
    assert "hush" not in str(house.notes.heard)


@pytest.mark.parametrize("where", ["near", "far"])
async def test_a_refusal_on_the_short_way_is_left_to_the_long_one(where):
    at_hand = AtHandScript(**{where: hit_of})
    at_hand.fails = StorageUnavailable()
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        assert TOKEN in await line.hear()

    assert house.notes.of("request.failed") == []


async def test_who_leaves_while_a_look_up_is_open_is_noted_as_on_the_long_way(house, at_hand):
    async with talk(house) as line:
        line.give(GOOD)
        line.writer.close()
        await eventually(lambda: line.connection.transport is None)
        at_hand.find()
        await eventually(lambda: house.notes.of("request.done"))

    (done,) = house.notes.of("request.done")
    assert (done["key"], done["status"]) == (KEY, 200)


async def test_what_a_client_left_behind_it_is_dropped_with_it(house, at_hand):
    """Reading stopped behind what was sent ahead, so that the end shows only once reading goes on."""
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.asked)
        line.say(GOOD[:40])
        await eventually(lambda: line.connection._held)
        line.writer.close()
        at_hand.find()
        await eventually(lambda: line.connection.transport is None)

    assert len(house.notes.of("request.done")) == 1


async def test_who_is_gone_is_looked_for_no_further(house, at_hand):
    async with talk(house) as line:
        line.give(GOOD, GOOD)
        line.connection.force_close()
        at_hand.asked[0].set_result(None)
        await asyncio.sleep(0)

    assert (len(at_hand.asked), house.answers.calls) == (1, [])


async def closing(house, line):
    """Begin to close the listeners; returns once the connection was told so."""
    closes = asyncio.create_task(house.listeners.close())
    await eventually(lambda: line.connection._close_after)
    return closes


@pytest.mark.parametrize("draining", [True, False])
@pytest.mark.parametrize("found", [True, False], ids=["a hit", "a miss"])
async def test_what_is_looked_for_is_answered_before_the_listener_closes(house, at_hand, found, draining):
    async with talk(house) as line:
        line.give(GOOD)
        house.ready.draining = draining
        closes = await closing(house, line)
        at_hand.find() if found else at_hand.asked[0].set_result(None)
        said = await line.rest()
        await closes

    assert (said.startswith(OK), said.count(TOKEN)) == (True, 1)
    assert (b"Connection: close" in said) is draining


async def test_what_came_behind_it_is_answered_before_the_listener_closes(house, at_hand):
    async with talk(house) as line:
        line.give(GOOD, GOOD)
        closes = await closing(house, line)
        at_hand.find()
        await eventually(lambda: len(at_hand.asked) == 2)
        at_hand.find()
        said = await line.rest()
        await closes

    assert said.count(TOKEN) == 2


async def test_a_look_up_that_does_not_end_does_not_hold_up_the_process(at_hand):
    async with open_house(at_hand=at_hand, drain_s=0.1) as house, talk(house) as line:
        line.give(GOOD)
        await asyncio.wait_for(house.listeners.close(), 3)
        assert await line.rest() == b""
        at_hand.find()


@pytest.mark.parametrize("where", ["near", "far"])
async def test_while_draining_answers_ask_for_a_new_connection_and_end_this_one(where):
    async with open_house(at_hand=AtHandScript(**{where: hit_of})) as house, talk(house) as line:
        line.say(GOOD)
        assert b"Connection: close" not in await line.hear()
        house.ready.draining = True
        line.say(GOOD)
        said = await line.rest()

    assert (TOKEN in said, b"Connection: close" in said) == (True, True)


async def test_an_answer_that_asks_for_a_new_connection_ends_this_one(house, at_hand):
    """The process began to drain after the cache was asked."""
    async with talk(house) as line:
        line.give(GOOD)
        house.ready.draining = True
        at_hand.find()
        said = await line.rest()

    assert (TOKEN in said, b"Connection: close" in said) == (True, True)


async def test_after_an_answer_nobody_waits_for_the_first_head_any_more(monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.1)
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        line.say(GOOD)
        await line.hear()
        await asyncio.sleep(0.3)
        line.say(GOOD)
        assert TOKEN in await line.hear()


async def test_a_head_that_trickles_in_behind_an_answer_ends_the_connection(monkeypatch):
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        line.say(GOOD)
        await line.hear()
        monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.05)
        line.say(GOOD[:30])
        assert await line.rest() == b""


async def test_a_connection_is_kept_alive_from_its_last_answer_on_and_no_longer(monkeypatch):
    monkeypatch.setattr(protocol, "KEEP_ALIVE_S", 0.8)
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        for _ in range(3):
            line.say(GOOD)
            assert TOKEN in await line.hear()
            await asyncio.sleep(0.5)
        assert await line.rest() == b""


async def test_a_page_of_another_client_is_refused_by_the_long_way():
    doors = [ClientDoor("acme"), ClientDoor("zeta", frozenset({ORIGIN}))]
    async with open_house(at_hand=AtHandScript(near=hit_of), clients=doors) as house, talk(house) as line:
        line.say(request(BEARER, f"Origin: {ORIGIN}"))
        said = await line.hear()

    assert (said.startswith(b"HTTP/1.1 403 "), TOKEN in said) == (True, False)
    assert b"Access-Control-Allow-Origin" not in said
