"""Requests of one connection, whose headers hardly change: read as if each of them came alone."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.api.bearer import LONGEST_TOKEN, parse_bearer
from service.api.express.plain import LONGEST_KEPT, PlainReader
from service.broker.errors import BrokerError
from tests.support.plainly import PARSERS, PEER, TOKEN, chunk, padded, parsed, read_plain

OTHER = "Authorization: Bearer other-token.oooo"
ORIGIN = "Origin: https://a.example"


def bearer(token, *lines, scheme="Bearer", name="Authorization", **changes):
    return chunk("User-Agent: B/1", f"{name}: {scheme} {token}", *lines, **changes)


@pytest.fixture
def reader():
    return PlainReader(PEER)


def with_memo(raw, reader):
    """Read a chunk of which something is found out."""
    headers = read_plain(raw, reader).headers
    headers.memo["found"] = "out"
    return headers


def test_where_only_the_token_is_another_what_was_found_out_stays(reader):
    with_memo(bearer("one-token"), reader)

    again = read_plain(bearer("other-token-and-longer"), reader).headers

    assert again.memo == {"found": "out"}
    assert (again.token, again.get("authorization")) == (
        "other-token-and-longer",
        "Bearer other-token-and-longer",
    )
    assert again.getall("Authorization", ()) == ("Bearer other-token-and-longer",)


def test_where_only_the_target_is_another_it_stays_too(reader):
    with_memo(bearer("one"), reader)
    again = read_plain(bearer("one", start="HEAD /other HTTP/1.1"), reader)
    assert (again.method, again.raw_path, again.headers.memo) == ("HEAD", "/other", {"found": "out"})


def test_a_token_is_known_to_be_one_only_where_it_comes_again(reader):
    assert [read_plain(bearer("one"), reader).headers.token for _ in range(2)] == ["", "one"]


FIRST = bearer("held-token", ORIGIN)
OTHERS = {
    "another host": bearer("held-token", ORIGIN, host="Host: y"),
    "another header's value": bearer("held-token", "Origin: https://b.example"),
    "one header more": bearer("held-token", ORIGIN, "Via: x"),
    "one header less": bearer("held-token"),
    "another order": bearer("held-token", "User-Agent: B/1").replace(b"User-Agent: B/1\r\n", b"", 1),
    "a name in other letters": bearer("held-token", ORIGIN.replace("Origin", "ORIGIN")),
    "a host in other letters": bearer("held-token", ORIGIN, host="host: x"),
    "authorization in other letters": bearer("held-token", ORIGIN, name="authorization"),
    "a scheme in other letters": bearer("held-token", ORIGIN, scheme="bearer"),
    "another scheme": bearer("held-token", ORIGIN, scheme="Basic"),
    "a token of other signs": bearer("held-token$", ORIGIN),
    "a token and a comma": bearer("held-token,x", ORIGIN),
    "two tokens": bearer("held-token other", ORIGIN),
    "two spaces before it": bearer(" held-token", ORIGIN),
    "the next header in its place": FIRST.replace(b"held-token\r\n", b""),
    "a token too long": bearer("t" * (LONGEST_TOKEN + 1), ORIGIN),
    "no token": chunk("User-Agent: B/1", ORIGIN),
    "a token in another header": chunk("User-Agent: B/1", "Cookie: Bearer held-token", ORIGIN),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_nothing_of_it_is_taken_for_other_headers_nor_after_them(reader, other):
    with_memo(FIRST, reader)
    assert read_plain(other, reader).headers.memo == {}
    assert read_plain(FIRST, reader).headers.memo == {}


REFUSED = {
    "no token at all": bearer("", ORIGIN),
    "a space behind it": bearer("held-token ", ORIGIN),
    "a tab": bearer("held\ttoken", ORIGIN),
    "a line feed": bearer("held\ntoken", ORIGIN),
    "a carriage return": bearer("held\rtoken", ORIGIN),
    "a header": bearer("held-token\r\nContent-Length: 5", ORIGIN),
    "a header twice": bearer("held-token\r\nOrigin: null", ORIGIN),
    "the header twice": bearer("held-token\r\nAuthorization: Bearer other", ORIGIN),
    "the end of a head": bearer("held-token\r\n\r\nGET / HTTP/1.1\r\nHost: x", ORIGIN),
    "the same request in it": FIRST.replace(b"held-token", b"held-token\r\n\r\n" + FIRST),
    "a fold": bearer("held-token\r\n x", ORIGIN),
    "a nul": bearer("held\x00token", ORIGIN),
    "an escape": bearer("held\x1btoken", ORIGIN),
    "a delete character": bearer("held\x7ftoken", ORIGIN),
    "a byte above ascii": bearer("held\xfftoken", ORIGIN),
    "a chunk behind it": FIRST + b"x",
    "a chunk before it": b"\r\n" + FIRST,
    "another request behind it": FIRST + FIRST,
    "what is before it": FIRST[: FIRST.index(b"held-token")],
    "what is before and behind with a part in both": FIRST.replace(b" held-token\r", b""),
    "nothing": b"",
    "its first line": FIRST[: FIRST.index(b"\n") + 1],
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_no_plain_request_is_none_behind_one_that_it_resembles(reader, raw):
    read_plain(FIRST, reader)
    assert read_plain(raw, reader) is None
    assert read_plain(FIRST, reader).headers.get("authorization") == "Bearer held-token"


def test_the_longest_token_may_change_as_any_other(reader):
    with_memo(FIRST, reader)
    long = read_plain(bearer("t" * LONGEST_TOKEN, ORIGIN), reader).headers
    assert (len(long.token), long.memo) == (LONGEST_TOKEN, {"found": "out"})


@pytest.mark.parametrize("secret", ["Basic aGVsZA==", "Bearer a, Bearer b", "Bearer", "Digest x=y"])
def test_what_is_no_bearer_token_is_read_anew_each_time(reader, secret):
    raw = chunk(f"Authorization: {secret}")
    with_memo(raw, reader)
    assert read_plain(raw, reader).headers.memo == {}


def test_long_headers_are_not_kept_for_a_connection_that_may_only_wait(reader):
    for length, memo in ((LONGEST_KEPT, {"found": "out"}), (LONGEST_KEPT + 100, {})):
        with_memo(padded(length), reader)
        assert read_plain(padded(length), reader).headers.memo == memo
    assert reader._seen is None


NOISE = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x7f", b"\xff", b":", b": ", b",", b"$", b"=",
     b"\r\nVia: x", b"\r\n fold", b"\r\nAuthorization: Bearer x", b"\r\nTE: x", b"Bearer ", b"GET / "]
)  # fmt: skip
TOKENS = st.text("ab._~+/=%-", min_size=1, max_size=4).map(str.encode) | NOISE
BASES = st.sampled_from(
    [FIRST, bearer("x"), chunk(TOKEN), chunk(OTHER, ORIGIN), chunk(ORIGIN, TOKEN), chunk(),
     chunk(TOKEN, TOKEN), chunk("authorization: bearer a"), chunk("Cookie: Bearer a"),
     chunk("Cookie: Bearer a", TOKEN)]
)  # fmt: skip


@st.composite
def altered(draw, raw):
    """A chunk whose token, or a piece anywhere, is replaced, left out, doubled or in other letters."""
    tokens = [found.span(1) for found in re.finditer(rb"(?i)bearer ([^\r]*)", raw)]
    begin = draw(st.integers(0, len(raw)))
    end = min(len(raw), begin + draw(st.integers(0, 12)))
    if tokens and draw(st.booleans()):
        begin, end = draw(st.sampled_from(tokens))
    piece = raw[begin:end]
    other = draw(
        st.sampled_from([b"", piece * 2, piece.swapcase()]) | TOKENS | TOKENS.map(lambda it: piece + it)
    )
    return raw[:begin] + other + raw[end:]


@st.composite
def conversations(draw):
    """Chunks of one connection, each of them much like one before it."""
    chunks = [draw(BASES)]
    for _ in range(draw(st.integers(1, 5))):
        like = draw(st.sampled_from(chunks) | BASES)
        chunks.append(draw(st.just(like) | altered(like)))
    return chunks


def as_read(request):
    """What the doors see of a request."""
    return (request.method, request.raw_path, tuple(request.version), dict(request.headers._given))


def token_of(headers):
    try:
        return parse_bearer(headers, "")
    except BrokerError:
        return None


def found_out(headers):
    """What may be found out of headers once: all but the token."""
    return {name: value for name, value in headers._given.items() if name != "authorization"}


@settings(max_examples=300, deadline=None)
@given(conversations())
@example([FIRST, *REFUSED.values(), *OTHERS.values(), FIRST])
def test_each_chunk_of_a_connection_is_read_as_if_it_came_alone_and_as_aiohttp_reads_it(chunks):
    reader = PlainReader(PEER)
    for raw in chunks:
        request, alone = read_plain(raw, reader), read_plain(raw)
        assert (request is None) == (alone is None)
        if request is None:
            continue
        assert as_read(request) == as_read(alone)
        for parser in PARSERS.values():
            method, path, version, headers = parsed(parser, raw)
            assert as_read(request) == (method, path, version, {n.lower(): v for n, v in headers.items()})


@settings(max_examples=300, deadline=None)
@given(conversations())
@example([FIRST, *OTHERS.values(), FIRST, *REFUSED.values(), FIRST])
def test_what_was_found_out_of_headers_is_only_there_for_the_same_ones(chunks):
    reader = PlainReader(PEER)
    for raw in chunks:
        request = read_plain(raw, reader)
        if request is not None:
            headers = request.headers
            assert headers.memo.setdefault("found", found_out(headers)) == found_out(headers)
            assert headers.token in ("", token_of(headers))
