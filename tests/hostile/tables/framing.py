"""Where a request ends: lengths, chunks, versions, hosts, targets, several requests at once, no HTTP at all."""

from tests.hostile.cases import CANARY, HOST, JSON, KEY, Story, asks, http, raw, unparsable
from tests.hostile.tables.authorization import GOOD, good

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
VERSIONS = [
    *(
        unparsable("H56", f"the version {version}", GOOD, version=version)
        for version in (
            "HTTP/9.9",
            "HTTP/2",
            "HTTP/1",
            "HTTP/11",
            "HTTP/1.1.1",
            "http/1.1",
            "HTP/1.1",
            "HTTP/1,1",
            "HTTP/x.y",
            "HTTP/-1.1",
        )
    ),
    *(
        asks("H56", f"the version {version}", 400, "malformed", GOOD, version=version, closed=True)
        for version in ("HTTP/2.0", "HTTP/0.9")
    ),
    good("H56", "HTTP/1.0", GOOD, version="HTTP/1.0", host="", closed=True),
    asks(
        "H56",
        "HTTP/1.0 of a probe",
        200,
        None,
        target="/healthz",
        version="HTTP/1.0",
        host="",
        closed=True,
        door="observe",
    ),
    unparsable("H56", "no host", GOOD, host=""),
    unparsable("H56", "two hosts", GOOD, "Host: evil.example"),
    unparsable("H56", "the same host twice", GOOD, HOST),
    raw("H56", "no version", b"GET /refresh\r\n\r\n"),
    raw("H56", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    raw("H56", "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "SSH", b"SSH-2.0-" + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "SMTP", b"EHLO " + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "Redis", b"*1\r\n$4\r\nPING\r\n\r\n"),
    raw("H56", "the proxy protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + http(GOOD)),
    raw("H56", "an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    raw("H56", "bytes of nothing", bytes(range(128, 256)) + b"\r\n\r\n"),
    raw("H56", "NULs", b"\0" * 64 + b"\r\n\r\n"),
    *(
        raw("H56", f"no HTTP on the {door} listener", b"\x16\x03\x01\r\n\r\n", door=door)
        for door in ("internal", "observe")
    ),
    good(
        "H56",
        "a websocket is not taken up",
        GOOD,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ),
    good(
        "H56",
        "HTTP/2 is not taken up",
        GOOD,
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAAA",
    ),
    good("H56", "an expectation that nobody knows", GOOD, f"Expect: {CANARY}"),
    good(
        "H56",
        "headers that a proxy would drop",
        GOOD,
        "Connection: authorization",
        "Keep-Alive: timeout=9999",
    ),
]
TARGETS = [
    *(
        asks("H57", f"the target {target}", 400, "malformed", GOOD, target=target, closed=True)
        for target in (
            "http://evil.example/refresh",
            "https://evil.example/refresh",
            "http://broker.test/refresh",
            "HTTP://evil.example/refresh",
            "http://user:pass@broker.test/refresh",
            "ftp://evil.example/",
            "*",
        )
    ),
    *(
        unparsable("H57", f"the target {target!r}", GOOD, target=target)
        for target in (
            "/refresh HTTP/1.1 x",
            "/re fresh",
            "refresh",
            "?refresh",
            "evil.example:443",
            "/refresh\0",
            "/refresh\x7f",
            "/refresh\x01",
        )
    ),
    *(
        asks("H57", f"the host {host}", 200, None, GOOD, host=f"Host: {host}", gives="ann")
        for host in ("evil.example", "127.0.0.1:1", "[::1]", "broker.test:99999")
    ),
    asks("H57", "a target of 60,000 characters", 404, "not_found", GOOD, target="/" + CANARY + "a" * 60_000),
    unparsable("H57", "a target of 300,000 characters", GOOD, target="/" + "a" * 300_000, may_break=True),
    unparsable(
        "H57", "a query of 300,000 characters", GOOD, target="/refresh?" + "a" * 300_000, may_break=True
    ),
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
    Story("H55", "three requests in one packet", _two_at_once),
    Story("H55", "a hundred requests in one packet", _all_at_once),
    Story("H55", "a client that asks before it sends", _asked_first),
    _hidden("a good request behind a bad header", http(b"X: \0")),
    _hidden(
        "a good request behind a length and chunks", http("Content-Length: 0", "Transfer-Encoding: chunked")
    ),
    _hidden("a good request behind an absolute target", http(GOOD, target="http://evil.example/")),
]
CASES = [*LENGTHS, *CHUNKS, *VERSIONS, *TARGETS, *STORIES]
