"""On one connection answers leave in the order of their requests, and only what is a request is answered."""

import asyncio
import socket

import pytest
import uvloop

from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import CURRENT, HELD, AnswersScript, current_token, open_house
from tests.support.talk import BEARER, CLOSE, GOOD, HEALTH, LAST, request, talk
from tests.support.waiting import eventually

TOKEN, WELL, OK = CURRENT.encode(), b'{"status":"ok"}', b"HTTP/1.1 200 OK\r\n"
OTHER, OTHERS = "another-token.oooooooooooo", "fresh-token.ooooooooooooooo"
LONG = request(f"Authorization: Bearer {OTHER}")


@pytest.fixture
def at_hand():
    """A cache that is asked, and answers when the test says so."""
    at_hand = AtHandScript()
    at_hand.waits = True
    return at_hand


@pytest.fixture
async def house(at_hand):
    async with open_house(at_hand=at_hand) as opened:
        yield opened


async def test_a_miss_goes_the_long_way_as_it_was_sent():
    async with open_house(at_hand=AtHandScript()) as house, talk(house) as line:
        line.say(request(BEARER, "X-Request-Id: r-1", "User-Agent: b/1"))
        answer = await line.hear()

    assert (answer.startswith(OK), b"X-Request-Id: r-1" in answer) == (True, True)
    assert house.answers.calls == [("for_browser", HELD)]
    assert len(house.notes.of("request.done")) == 1


@pytest.mark.parametrize("source", ["near", "redis"])
async def test_where_an_answer_was_found_is_noted_with_it(source):
    at_hand = AtHandScript(near=lambda look: hit_of(look)._replace(source=source))
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        await line.hear()

    assert [done["source"] for done in house.notes.of("request.done")] == [source]


MEANWHILE = {
    "a plain one": [HEALTH],
    "two at once": [HEALTH + HEALTH],
    "one in two parts": [HEALTH[:9], HEALTH[9:]],
    "one byte at a time": [bytes([byte]) for byte in HEALTH],
    "one and a half, and the rest": [HEALTH + HEALTH[:30], HEALTH[30:]],
    "what is not plain": [request("X-Odd: y", target="/healthz")],
}


@pytest.mark.parametrize("found", [True, False], ids=["a hit", "a miss"])
@pytest.mark.parametrize("chunks", MEANWHILE.values(), ids=MEANWHILE)
async def test_what_comes_while_a_look_up_is_open_waits_and_is_answered_after_it(
    house, at_hand, chunks, found
):
    async with talk(house) as line:
        line.give(GOOD, *chunks, LAST)
        assert house.notes.of("request.done") == []
        at_hand.find() if found else at_hand.asked[0].set_result(None)
        said = await line.rest()

    assert said.startswith(OK)
    assert said.index(TOKEN) < said.index(WELL)
    assert said.count(OK) == said.count(WELL) + 1 == b"".join(chunks).count(b"GET /healthz") + 2


async def test_of_two_look_ups_the_second_begins_when_the_first_is_answered(house, at_hand):
    async with talk(house) as line:
        line.give(GOOD, GOOD)
        assert len(at_hand.asked) == 1
        at_hand.find()
        assert TOKEN in await line.hear()
        await eventually(lambda: len(at_hand.asked) == 2)
        at_hand.find()
        assert TOKEN in await line.hear()
    assert house.answers.calls == []


async def test_two_connections_are_answered_each_its_own_whichever_is_found_first(house, at_hand):
    async with talk(house) as one, talk(house) as other:
        one.give(request(BEARER, "X-Request-Id: one"))
        other.give(request(BEARER, "X-Request-Id: other"))
        at_hand.find(1)
        assert b"X-Request-Id: other" in await other.hear()
        at_hand.find(0)
        assert b"X-Request-Id: one" in await one.hear()


async def test_who_sends_ahead_without_waiting_is_read_no_further(house, at_hand):
    async with talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: at_hand.asked)
        assert line.connection.transport.is_reading()
        line.say(HEALTH)
        await eventually(lambda: not line.connection.transport.is_reading())
        line.say(LAST)
        at_hand.find()
        said = await line.rest()

    assert said.count(WELL) == 2


async def test_what_is_sent_behind_a_request_in_hand_is_not_answered_before_it():
    answers, gate = AnswersScript(), asyncio.Event()
    answers.results |= {"for_browser": gate, "for_browser_after": current_token(token=OTHERS)}
    async with open_house(answers=answers, at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        line.give(LONG)
        await answers.called.wait()
        line.give(GOOD)
        gate.set()
        said = [await line.hear() for _ in range(2)]

    assert OTHERS.encode() in said[0]


async def test_what_was_answered_the_long_way_does_not_end_the_short_one():
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        for raw in (HEALTH, GOOD, request(target="/healthz", method="HEAD"), GOOD):
            line.say(raw)
            await line.hear(body=not raw.startswith(b"HEAD"))

    assert house.answers.calls == []


async def test_after_a_chunk_that_is_not_plain_all_goes_the_long_way():
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        for raw in (GOOD, request(BEARER, "X-Odd: y"), GOOD):
            line.say(raw)
            assert TOKEN in await line.hear()

    assert len(house.answers.calls) == 2


INSIDE = request("Authorization: Bearer app-key", target="/v1/users/u-1/token")
BODIES = {
    "of a length": (f"Content-Length: {len(INSIDE)}", INSIDE),
    "in a part of its own": ("Transfer-Encoding: chunked", INSIDE),
}


@pytest.mark.parametrize(("framed", "body"), BODIES.values(), ids=BODIES)
async def test_a_body_that_looks_like_a_request_is_none(framed, body):
    begun = request(
        "Authorization: Bearer app-key", "Content-Type: application/json", framed, method="POST",
        target="/v1/users/u-1/refresh",
    )  # fmt: skip
    parts = [begun, body] if "Length" in framed else [begun, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n"]
    at_hand = AtHandScript(near=hit_of)
    async with open_house(at_hand=at_hand) as house, talk(house, "internal") as line:
        line.give(*parts, request(CLOSE, target="/nowhere"))
        said = await line.rest()

    assert said.startswith(b"HTTP/1.1 400 ")
    assert (said.count(b"HTTP/1.1 "), at_hand.given) == (2, [])


async def test_a_chunk_behind_half_a_head_is_part_of_it():
    at_hand = AtHandScript(near=hit_of)
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.give(b"GET /healthz HTTP/1.1\r\nReferer: ", GOOD, LAST)
        said = await line.rest()

    assert (said.count(WELL), TOKEN in said, at_hand.given) == (2, False, [])


@pytest.mark.parametrize("half", [GOOD[:20], GOOD[:-4], GOOD[:-2], GOOD[:-1], b"\r", b"\r\n"])
async def test_whatever_was_begun_before_a_chunk_it_is_read_as_one_stream(half):
    """The same bytes in any chunks are answered alike, with the short way and without."""
    said = []
    for at_hand in (AtHandScript(near=hit_of), None):
        async with open_house(at_hand=at_hand) as house, talk(house) as line:
            line.give(half, GOOD, LAST)
            said.append(await line.rest())

    assert said[0].count(OK) == said[1].count(OK)
    assert said[0].count(b"HTTP/1.1 ") == said[1].count(b"HTTP/1.1 ")


async def test_a_connection_that_is_closing_answers_nothing_more():
    async with open_house(at_hand=AtHandScript(near=hit_of)) as house, talk(house) as line:
        line.give(LAST, GOOD)
        said = await line.rest()

    assert (said.count(WELL), TOKEN in said) == (1, False)


async def test_who_does_not_read_is_not_answered_the_short_way():
    at_hand = AtHandScript(near=hit_of)
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        transport = line.connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        line.writer.transport.pause_reading()
        while not transport.get_write_buffer_size():
            line.give(GOOD)
        answered = len(at_hand.given)
        line.give(*[GOOD] * 10)

        assert len(at_hand.given) == answered
        assert transport.get_write_buffer_size() < len(CURRENT) * 20


async def in_order(where):
    at_hand = AtHandScript(**where)
    at_hand.waits = not where
    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        await eventually(lambda: where or at_hand.asked)
        line.say(GOOD)
        line.say(HEALTH + LAST)
        if not where:
            at_hand.find()
            at_hand.waits, at_hand.far = False, hit_of
        said = await line.rest()
    assert (said.count(TOKEN), said.count(WELL)) == (2, 2)
    assert said.rindex(TOKEN) < said.index(WELL)


@pytest.mark.parametrize("where", [{"near": hit_of}, {"far": hit_of}, {}], ids=["near", "far", "pending"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_either_loop_keeps_the_order(loop, where):
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(in_order(where))
