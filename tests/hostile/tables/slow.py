"""Who sends slowly or not at all: whatever is begun has ended ten seconds later."""

import asyncio
import time

from tests.hostile.cases import JSON, KEY, Story, http
from tests.hostile.tables.authorization import GOOD

AT_MOST_S = 10.0
GIVES_UP_S = 30.0
EVERY_S = 0.5
_POST = {"method": "POST", "target": "/v1/users"}
_DRIPS = b"{" + b" " * 200


def _ends(row, what, door, *, at_once=b"", drops=b"", answer=None):
    """Return a story: so much is sent at once, then byte after byte, until the other side ends it."""

    async def play(town):
        async with town.line(door) as line:
            began = time.monotonic()
            await line.send(town.filled(at_once))
            dripping = asyncio.create_task(_drip(line, drops))
            came = await line.ended(GIVES_UP_S)
            took_s = time.monotonic() - began
            dripping.cancel()
        return [*_wrong_end(came, took_s), *_wrong_answer(came, answer)]

    return Story(row, what, play, patient=True)


async def _drip(line, drops):
    for drop in drops:
        await line.send(bytes([drop]))
        await asyncio.sleep(EVERY_S)


def _wrong_end(came, took_s):
    if came is None:
        return [f"still open after {GIVES_UP_S} s"]
    return [] if took_s <= AT_MOST_S else [f"was open for {took_s:.1f} s"]


def _wrong_answer(came, answer):
    wanted = b"" if answer is None else f"HTTP/1.1 {answer} ".encode()
    fits = came == b"" if answer is None else (came or b"").startswith(wanted)
    return [] if fits else [f"got {came and came[:60]!r}, expected {answer or 'no answer'}"]


CASES = [
    *(
        _ends("H58", f"nothing is sent to the {door} listener", door)
        for door in ("public", "internal", "observe")
    ),
    *(
        _ends("H58", f"a head trickles into the {door} listener", door, drops=http("X: " + "y" * 200))
        for door in ("public", "internal", "observe")
    ),
    _ends("H58", "half a head", "public", at_once=http(GOOD)[:40]),
    _ends("H58", "a head without its last line break", "public", at_once=http(GOOD)[:-1]),
    _ends("H58", "empty lines for ever", "public", drops=b"\r\n" * 100),
    _ends("H58", "the first bytes of TLS", "public", at_once=b"\x16\x03\x01\x02", answer=400),
    _ends(
        "H59",
        "a body trickles in",
        "internal",
        at_once=http(KEY, JSON, "Content-Length: 200", **_POST),
        drops=_DRIPS,
        answer=408,
    ),
    _ends(
        "H59",
        "a body does not come",
        "internal",
        at_once=http(KEY, JSON, "Content-Length: 200", **_POST),
        answer=408,
    ),
    _ends(
        "H59",
        "chunks trickle in",
        "internal",
        at_once=http(KEY, JSON, "Transfer-Encoding: chunked", **_POST),
        drops=b"1\r\n{\r\n" + b"1\r\n \r\n" * 40,
        answer=408,
    ),
    _ends(
        "H59",
        "a chunk's size trickles in",
        "internal",
        at_once=http(KEY, JSON, "Transfer-Encoding: chunked", **_POST),
        drops=b"0" * 200,
        answer=408,
    ),
    _ends(
        "H59",
        "a body trickles in behind a wrong key",
        "internal",
        at_once=http("Authorization: Bearer x", JSON, "Content-Length: 200", **_POST),
        drops=_DRIPS,
        answer=401,
    ),
    _ends(
        "H59",
        "a body trickles in where none is wanted",
        "public",
        at_once=http(GOOD, "Content-Length: 200"),
        drops=_DRIPS,
        answer=400,
    ),
    _ends(
        "H59",
        "a body trickles in at a wrong address",
        "observe",
        at_once=http("Content-Length: 200", target="/x"),
        drops=_DRIPS,
        answer=404,
    ),
    _ends(
        "H59",
        "a body that is asked for does not come",
        "internal",
        at_once=http(KEY, JSON, "Content-Length: 200", "Expect: 100-continue", **_POST),
        answer=100,
    ),
]
