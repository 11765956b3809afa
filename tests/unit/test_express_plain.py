"""Which chunks are read without aiohttp: one plain request each, and what aiohttp reads in the same bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api.express.plain import LONGEST
from tests.support.plainly import PARSERS, PEER, TOKEN, chunk, padded, parsed, read_plain


def test_a_plain_request_is_read_as_it_was_sent():
    request = read_plain(chunk(TOKEN, "X-Request-Id: r-1", start="GET /a%20b?c=d#e HTTP/1.1"))

    assert (request.method, request.raw_path, request.remote) == ("GET", "/a%20b?c=d#e", PEER)
    assert request.headers.get("x-request-id") == request.headers.get("X-Request-Id") == "r-1"
    assert request.headers.getall("Authorization", ()) == (TOKEN.partition(": ")[2],)


def test_a_header_that_is_not_there_is_answered_as_by_aiohttp():
    headers = read_plain(chunk()).headers

    assert (headers.get("Origin"), headers.get("Origin", "none")) == (None, "none")
    assert headers.getall("Origin", ("none",)) == ("none",)


PLAIN = {
    "what a browser sends": chunk(
        TOKEN, "Origin: https://app.example.com", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty",
        "Sec-Fetch-Site: same-site", "Accept: */*", "Accept-Encoding: gzip, br", "Accept-Language: en",
        'Sec-CH-UA: "B";v="1"', "Sec-CH-UA-Mobile: ?0", "Referer: https://app.example.com/", "DNT: 1",
        "User-Agent: B/1 (x; y)", "Cookie: a=b; c=d", "Cache-Control: no-cache", "Pragma: no-cache",
        "Priority: u=1, i", "Sec-GPC: 1", "Content-Type: application/json",
    ),
    "what a proxy adds": chunk(
        TOKEN, "X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.1",
        "X-Forwarded-Host: x", "X-Forwarded-Port: 443", "Forwarded: for=192.0.2.1", "Via: 1.1 p",
        "traceparent: 00-a-b-01", "tracestate: a=b", "X-Request-Id: r",
    ),
    "nothing but a host": chunk(),
    "what is so in any case": chunk("Connection: keep-alive"),
    "the same in other letters": chunk("connection: Keep-Alive"),
    "any case of names": chunk("AUTHORIZATION: Bearer x", host="hOsT: x"),
    "spaces within a value": chunk("User-Agent: a  b"),
    "a colon at once": chunk("User-Agent: :"),
    "another harmless method": chunk(start="HEAD / HTTP/1.1"),
    "what a browser asks before": chunk(start="OPTIONS /refresh HTTP/1.1"),
    "the longest that is read": padded(LONGEST),
}  # fmt: skip


@pytest.mark.parametrize("raw", PLAIN.values(), ids=PLAIN.keys())
def test_what_is_harmless_is_read(raw):
    assert read_plain(raw) is not None


NOT_PLAIN = {
    "nothing": b"",
    "two requests": chunk() + chunk(),
    "a byte behind it": chunk() + b"\n",
    "a body": chunk() + b"{}",
    "a head that is not over": chunk()[:-2],
    "a line that is not over": chunk()[:-3],
    "a line before it": b"\r\n" + chunk(),
    "a bare line feed": chunk("Origin: a\nX: b"),
    "line feeds only": chunk().replace(b"\r\n", b"\n"),
    "a bare carriage return": chunk("Origin: a\rX: b"),
    "carriage returns only": chunk().replace(b"\r\n", b"\r"),
    "a folded header": chunk("Origin: a", " b"),
    "a header folded by a tab": chunk("Origin: a", "\tb"),
    "a first line folded": chunk(host=" Host: x"),
    "a length": chunk("Content-Length: 2"),
    "a length of nothing": chunk("Content-Length: 0"),
    "an encoding of the body": chunk("Transfer-Encoding: chunked"),
    "a connection header": chunk("Connection: close"),
    "a connection kept and more": chunk("Connection: keep-alive, Upgrade"),
    "a header of the connection alone": chunk("Connection: keep-alive, X-Forwarded-For"),
    "a connection named twice": chunk("Connection: keep-alive", "Connection: close"),
    "a proxy's connection": chunk("Proxy-Connection: close"),
    "an upgrade": chunk("Upgrade: websocket"),
    "settings of another version": chunk("HTTP2-Settings: AA"),
    "an expectation": chunk("Expect: 100-continue"),
    "a trailer": chunk("Trailer: x"),
    "encodings of the transfer": chunk("TE: trailers"),
    "a keep-alive header": chunk("Keep-Alive: timeout=5"),
    "another method in a header": chunk("X-HTTP-Method-Override: POST"),
    "a header nobody knows": chunk("X-Anything: y"),
    "version 1.0": chunk(start="GET /refresh HTTP/1.0"),
    "version 2.0": chunk(start="GET /refresh HTTP/2.0"),
    "no version": chunk(start="GET /refresh"),
    "a version in small letters": chunk(start="GET /refresh http/1.1"),
    "a method in small letters": chunk(start="get /refresh HTTP/1.1"),
    "a method with a body": chunk(start="POST /refresh HTTP/1.1"),
    "a tunnel": chunk(start="CONNECT x:443 HTTP/1.1"),
    "a target that names a host": chunk(start="GET http://x/refresh HTTP/1.1"),
    "a target that is no path": chunk(start="OPTIONS * HTTP/1.1"),
    "two spaces in the first line": chunk(start="GET  /refresh HTTP/1.1"),
    "a tab in the first line": chunk(start="GET\t/refresh HTTP/1.1"),
    "a space behind the first line": chunk(start="GET /refresh HTTP/1.1 "),
    "a space in the target": chunk(start="GET /re fresh HTTP/1.1"),
    "a target too long": chunk(start=f"GET /{'a' * 2049} HTTP/1.1"),
    "a tab in a value": chunk("Origin: a\tb"),
    "a nul": chunk(TOKEN + "\x00"),
    "a control character": chunk(TOKEN + "\x01"),
    "an escape": chunk(TOKEN + "\x1b"),
    "a delete character": chunk(TOKEN + "\x7f"),
    "a byte above ascii": chunk(TOKEN + "\xff"),
    "letters above ascii": chunk(TOKEN + "ż".encode().decode("latin-1")),
    "a target above ascii": chunk(start="GET /refr\xe9sh HTTP/1.1"),
    "no host": chunk(TOKEN, host=""),
    "no header": b"GET /refresh HTTP/1.1\r\n\r\n",
    "no space behind a colon": chunk("Origin:a"),
    "a tab behind a colon": chunk("Origin:\ta"),
    "a space before a colon": chunk("Origin : a"),
    "a space before a name": chunk(" Origin: a"),
    "a name of nothing": chunk(": a"),
    "a line without a colon": chunk("Origin"),
    "two spaces behind a colon": chunk("X-Request-Id:  r-1"),
    "a space behind a value": chunk("X-Request-Id: r-1 "),
    "a value of nothing": chunk("Origin: "),
    "an underscore in a name": chunk("X_Request_Id: a"),
    "too many headers": chunk(*(f"X-{number}: y" for number in range(64))),
    "one byte too long": padded(LONGEST + 1),
}


@pytest.mark.parametrize("raw", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_what_is_not_plain_to_the_last_byte_is_left_to_aiohttp(raw):
    assert read_plain(raw) is None


@pytest.mark.parametrize(
    "line", [TOKEN, "Origin: a", "X-Forwarded-For: 192.0.2.1", "X-Request-Id: r", "Via: a"]
)
def test_no_header_is_read_twice(line):
    assert read_plain(chunk(line)) is not None
    assert read_plain(chunk(line, line)) is None
    assert read_plain(chunk(line, line.upper())) is None


def test_a_second_host_is_left_to_aiohttp():
    assert read_plain(chunk("Host: x")) is None


NAMES = st.sampled_from(
    ["Origin", "authorization", "HOST", "Cookie", "X-Forwarded-For", "Expect", "Connection"]
)
COLONS = st.sampled_from([": ", ":", " : ", ":  "])
VALUES = st.text(st.characters(max_codepoint=0x80), max_size=8) | st.sampled_from(
    ["a b", "keep-alive", "close"]
)
LINES = st.lists(st.tuples(NAMES, COLONS, VALUES).map("".join), max_size=4)
METHODS = st.sampled_from(["GET", "HEAD", "OPTIONS", "get", "POST"])
PATHS = st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x80), max_size=6)
STARTS = st.tuples(METHODS, PATHS).map(lambda parts: f"{parts[0]} /{parts[1]} HTTP/1.1")


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@given(lines=LINES, start=STARTS, end=st.sampled_from(["\r\n", "\r\n ", "\n", ""]))
@example(lines=["Origin: a"], start="GET /a#b HTTP/1.1", end="\r\n")
@example(lines=["Origin:  a "], start="GET /refresh HTTP/1.1", end="\r\n")
def test_what_is_read_here_aiohttp_reads_alike(parser, lines, start, end):
    raw = chunk(*lines, start=start, end=end)
    request = read_plain(raw)
    if request is None:
        return

    method, path, version, headers = parsed(parser, raw)

    assert (request.method, request.raw_path, tuple(request.version)) == (method, path, version)
    assert {name: request.headers.get(name) for name in headers} == headers
