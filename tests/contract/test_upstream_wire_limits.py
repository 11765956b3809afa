"""The wire against real sockets: how much it reads, what it believes, and what it never passes on."""

import gzip
import json
import tracemalloc

import aiohttp
import pytest

from service.adapters.upstream.exchange import Answer, Request
from service.adapters.upstream.wire import MOST_BYTES, Wire, open_session, parse
from tests.support.raw_peer import REFRESH, http, running, says, send


async def test_the_request_goes_out_as_it_was_given():
    async with running(says(http(b"{}"))) as peer:
        await send(peer.url, Request("POST", "/a%2Bb", {"X-One": "1"}, "emails=a%2Bb%40x.org", {"k": "v"}))
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/a%2Bb?emails=a%2Bb%40x.org HTTP/1.1\r\n")
    assert b"\r\nX-One: 1\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert json.loads(body) == {"k": "v"}


@pytest.mark.parametrize(("size", "read"), [(MOST_BYTES, True), (MOST_BYTES + 1, False)])
async def test_a_body_is_read_up_to_64_kib(size, read):
    body = json.dumps("x" * (size - 2)).encode()
    async with running(says(http(body))) as peer:
        outcome = await send(peer.url)
    assert outcome.status == 200
    assert (outcome.body is not None) is read


async def test_an_endless_body_is_cut_off_at_once():
    async def flood(peer):
        peer.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.writer.write(b"x" * 65_536)
            await peer.writer.drain()

    async with running(flood) as peer:
        assert await send(peer.url) == Answer(200, body=None)


async def test_a_compressed_bomb_is_not_unpacked():
    bomb = gzip.compress(b"0" * 100_000_000)
    async with running(says(http(bomb, "200 OK", "Content-Encoding: gzip"))) as peer:
        tracemalloc.start()
        try:
            outcome = await send(peer.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert not (isinstance(outcome, Answer) and outcome.body is not None)
    assert peak < 10_000_000


async def test_a_modest_compressed_answer_is_read():
    zipped = http(gzip.compress(b'{"a": 1}'), "200 OK", "Content-Encoding: gzip")
    async with running(says(zipped)) as peer:
        assert await send(peer.url) == Answer(200, body={"a": 1})


async def test_only_the_headers_that_say_when_to_come_back_are_kept():
    answer = http(b"{}", "429 X", "X-RateLimit-Reset-Default: 42", "Retry-After: 7", "X-Secret: s")
    async with running(says(answer)) as peer:
        outcome = await send(peer.url)
    assert outcome.headers == {"x-ratelimit-reset-default": "42", "retry-after": "7"}


async def test_proxies_of_the_environment_are_ignored(monkeypatch):
    async with running(says(http(b'"proxy"'))) as proxy, running(says(http(b'"peer"'))) as peer:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert (await send(peer.url)).body == "peer"
    assert proxy.connections == 0


async def test_a_cookie_is_not_given_back():
    baker = says(http(b"{}", "200 OK", "Set-Cookie: a=b; Path=/"))
    async with running(baker) as peer, open_session() as session:
        wire = Wire(session, peer.url.replace("127.0.0.1", "localhost"), 5)
        assert [await wire.send(REFRESH) for _ in range(2)] == [Answer(200, body={})] * 2
    assert b"cookie" not in peer.requests[1].lower()


async def test_a_session_that_would_reuse_connections_is_refused():
    async with open_session(aiohttp.TCPConnector()) as session:
        with pytest.raises(ValueError, match="force_close"):
            Wire(session, "http://127.0.0.1", 5)


async def test_a_session_from_elsewhere_is_refused():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ValueError, match="open_session"):
            Wire(session, "http://127.0.0.1", 5)


@pytest.mark.parametrize(
    "url",
    ["", "api.cal.com/v2", "file:///etc/passwd", "https://api.cal.com@evil.example/v2", "http://", "https://h/?a=b"],
)  # fmt: skip
async def test_a_base_url_that_is_none_is_refused(url):
    async with open_session() as session:
        with pytest.raises(ValueError):  # noqa: PT011 -- yarl words some of these itself
            Wire(session, url, 5)


def test_what_is_sent_and_received_does_not_show_in_a_repr():
    shown = repr(REFRESH) + repr(Answer(200, body={"accessToken": "one-time"}))
    assert "one-time" not in shown
    assert "s3cret" not in shown


def test_a_byte_order_mark_does_not_cost_an_answer():
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "charset", ["bogus", "utf-16", "utf-7", "\\xff", "\"", "idna"],
)  # fmt: skip
async def test_the_stated_character_set_is_not_believed(charset):
    answer = http(b'{"a": 1}', "200 OK", f"Content-Type: application/json; charset={charset}")
    async with running(says(answer)) as peer:
        assert await send(peer.url) == Answer(200, body={"a": 1})
