"""Where a request ends: lengths, chunks, several requests at once."""

import asyncio

from tests.hostile.cases import CANARY, JSON, KEY, Story, asks, http, unparsable
from tests.hostile.tables.authorization import GOOD

LATER_S, ANSWERED_S = 0.3, 4.0
SECOND = http("Authorization: Bearer {bob}")
"""A request that must never be answered: it stands inside another one."""


def framed(row, what, *lines, body=b"{}", **more):
    """Return a case of a body that is framed wrongly: the answer is constant and the connection ends."""
    head = (KEY, JSON, *lines)
    more = {"status": 400, "code": "malformed", "closed": True, **more}
    status, code = more.pop("status"), more.pop("code")
    more = {"door": "internal", "method": "POST", "target": "/v1/users", **more}
    return asks(row, what, status, code, *head, body=body, **more)


def chunked(what, body, status=400, code="malformed", **more):
    return framed("H53", what, "Transfer-Encoding: chunked", body=body, status=status, code=code, **more)


LENGTHS = [
    framed(
        "H52",
        "a length and chunks",
        "Content-Length: 2",
        "Transfer-Encoding: chunked",
        body="2\r\n{}\r\n0\r\n\r\n",
    ),
    framed(
        "H52",
        "chunks and a length",
        "Transfer-Encoding: chunked",
        "Content-Length: 2",
        body="2\r\n{}\r\n0\r\n\r\n",
    ),
    *(
        framed(
            "H52", f"Transfer-Encoding: {coding}", f"Transfer-Encoding: {coding}", body="2\r\n{}\r\n0\r\n\r\n"
        )
        for coding in (
            "xchunked",
            "chunked, identity",
            "identity",
            "gzip",
            "chunked\x0b",
            "x, chunked, y",
            '"chunked"',
            "chunkedx",
        )
    ),
    framed(
        "H52",
        "two codings in two lines",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        body="2\r\n{}\r\n0\r\n\r\n",
    ),
    framed("H52", "two lengths", "Content-Length: 2", "Content-Length: 3"),
    framed("H52", "the same length twice", "Content-Length: 2", "Content-Length: 2"),
    *(
        framed("H52", f"the length {length}", f"Content-Length: {length}")
        for length in (
            "+2",
            "-1",
            "0x2",
            "2,2",
            "2, 2",
            "2;2",
            "2 2",
            "1e1",
            "2.0",
            "two",
            "",
            "\u0662",
            "9" * 20,
            "9" * 200,
            CANARY,
        )
    ),
    unparsable(
        "H52",
        "a length and chunks at GET",
        GOOD,
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        body="0\r\n\r\n",
    ),
    asks(
        "H52",
        "a request in the body of another",
        400,
        "bearer_malformed",
        GOOD,
        "Content-Length: {length}",
        body=SECOND,
    ),
    asks(
        "H52",
        "chunks under HTTP/1.0",
        400,
        "bearer_malformed",
        GOOD,
        "Transfer-Encoding: chunked",
        version="HTTP/1.0",
        body="0\r\n\r\n",
        closed=True,
    ),
]
CHUNKS = [
    chunked("a size of 0x2", "0x2\r\n{}\r\n0\r\n\r\n"),
    chunked("a size with a sign", "+2\r\n{}\r\n0\r\n\r\n"),
    chunked("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
    chunked("a size with a space before it", " 2\r\n{}\r\n0\r\n\r\n"),
    chunked("a size that is no number", f"{CANARY}\r\n{{}}\r\n0\r\n\r\n"),
    chunked("a size of seventeen digits", "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"),
    chunked("no size", "\r\n{}\r\n0\r\n\r\n"),
    chunked("a size that is too small", "1\r\n{}\r\n0\r\n\r\n"),
    chunked("a line feed in an extension", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
    chunked("line feeds alone", "2\n{}\n0\n\n"),
    chunked("a NUL in the size", "2\0\r\n{}\r\n0\r\n\r\n"),
    chunked(
        "a trailer of 100,000 characters", "2\r\n{}\r\n0\r\nX: " + "y" * 100_000 + "\r\n\r\n", may_break=True
    ),
    chunked("5,000 trailers", "2\r\n{}\r\n0\r\n" + "X: y\r\n" * 5_000 + "\r\n", may_break=True),
    chunked(
        "an extension of 100,000 characters",
        "2;" + "e" * 100_000 + "\r\n{}\r\n0\r\n\r\n",
        422,
        "invalid",
        closed=False,
    ),
    chunked("an extension", "2;name=value\r\n{}\r\n0\r\n\r\n", 422, "invalid", closed=False),
    chunked(
        "a trailer that would be a header",
        "2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        422,
        "invalid",
        closed=False,
    ),
    chunked("one byte a chunk", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 422, "invalid", closed=False),
    chunked("nothing in it", "0\r\n\r\n", 400, "malformed", closed=False),
    chunked("more than is read", "4001\r\n" + " " * 0x4001 + "\r\n0\r\n\r\n", 413, "too_large"),
]


async def _two_at_once(town):
    """Two requests in one packet are both answered, in order; what follows a bad one is not."""
    async with town.line("public") as line:
        await line.send(
            town.filled(http(GOOD) + http(target="/healthz") + http("Authorization: Bearer {bob}"))
        )
        bodies = [(await line.answer()).body for _ in range(3)]
    expected = (town.names["ann.now"].encode(), b'{"status":"ok"}', town.names["bob.now"].encode())
    return [
        f"answer {n} is {body[:60]!r}"
        for n, (body, part) in enumerate(zip(bodies, expected, strict=True))
        if part not in body
    ]


def _hidden(what, first):
    """Return a story of a bad request with a good one behind it: one answer, then the end."""

    async def play(town):
        async with town.line("public") as line:
            await line.send(town.filled(first + http(GOOD)))
            answer = await line.answer()
            rest = await line.ended()
        return [] if (answer.status, rest) == (400, b"") else [f"got {answer.status}, then {rest!r}"]

    return Story("H55", what, play)


async def _all_at_once(town):
    """A hundred requests in one packet are all answered."""
    async with town.line("public") as line:
        await line.send(http(target="/healthz") * 100)
        statuses = {(await line.answer()).status for _ in range(100)}
    return [] if statuses == {200} else [f"got {statuses}"]


def _breaks(what, rest):
    """Return a story: a body goes wrong after it has begun well; one answer at once, then the end."""

    async def play(town):
        async with town.line("internal") as line:
            await line.send(
                town.filled(http(KEY, JSON, "Transfer-Encoding: chunked", method="POST", target="/v1/users"))
            )
            await line.send(b"1\r\n{\r\n")
            await asyncio.sleep(LATER_S)
            await line.send(rest)
            answer = await line.answer(within_s=ANSWERED_S)
            end = await line.ended()
        return [] if (answer.status, end) == (400, b"") else [f"got {answer.status}, then {end!r}"]

    return Story("H53", what, play, patient=True)


async def _asked_first(town):
    """A client that asks before it sends its body is told to go on, once."""
    async with town.line("internal") as line:
        await line.send(
            town.filled(
                http(
                    KEY, JSON, "Content-Length: 2", "Expect: 100-continue", method="POST", target="/v1/users"
                )
            )
        )
        first = await line.answer()
        await line.send(b"{}")
        second = await line.answer()
    return [] if (first.status, second.status) == (100, 422) else [f"got {first.status}, {second.status}"]


STORIES = [
    _breaks("a size of 0x2, later", b"0x2\r\n}}\r\n"),
    _breaks("a trailer of 100,000 characters, later", b"1\r\n}\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    _breaks("bytes of nothing, later", b"\xff\xfe\r\n"),
    Story("H55", "three requests in one packet", _two_at_once),
    Story("H55", "a hundred requests in one packet", _all_at_once),
    Story("H55", "a client that asks before it sends", _asked_first),
    _hidden("a good request behind a bad header", http(b"X: \0")),
    _hidden(
        "a good request behind a length and chunks", http("Content-Length: 0", "Transfer-Encoding: chunked")
    ),
    _hidden("a good request behind an absolute target", http(GOOD, target="http://evil.example/")),
]
CASES = [*LENGTHS, *CHUNKS, *STORIES]
