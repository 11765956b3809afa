"""The wire against real sockets: what counts as sent, what as lost, and that nothing goes out twice."""

import asyncio
import gzip
import json
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from service.adapters.upstream.exchange import Answer, Exchange, Lost, NotSent, Request
from service.adapters.upstream.wire import MOST_BYTES, Wire, open_session, parse

REFRESH = Request(
    "POST", "/oauth/c/refresh", {"x-cal-secret-key": "s3cret"}, body={"refreshToken": "one-time"}
)
METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Peer:
    """A server that reads a request and then does what its script says; remembers what it read."""

    def __init__(self, script: Callable[["Peer"], Awaitable[None]], *, reads: bool = True) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.port = 0
        self.read, self.released = asyncio.Event(), asyncio.Event()
        self._script, self._reads = script, reads

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.reader, self.writer = reader, writer
        try:
            if self._reads:
                self.requests.append(await read_request(reader))
                self.read.set()
            await self._script(self)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, as some of these tests want it to
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
    return head + await reader.readexactly(length[0] if length else 0)


@asynccontextmanager
async def running(script: Callable[[Peer], Awaitable[None]], *, reads: bool = True) -> AsyncIterator[Peer]:
    peer = Peer(script, reads=reads)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    peer.url = f"http://127.0.0.1:{peer.port}/v2"
    async with server:
        yield peer
        peer.released.set()


async def send(base_url: str, request: Request = REFRESH, *, timeout_s: float = 5) -> Exchange:
    async with open_session() as session:
        return await Wire(session, base_url, timeout_s).send(request)


def says(raw: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def script(peer: Peer) -> None:
        peer.writer.write(raw)
        await peer.writer.drain()

    return script


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def silence(peer: Peer) -> None:
    await peer.released.wait()


async def hang_up(peer: Peer) -> None:
    peer.writer.close()


async def reset(peer: Peer) -> None:
    linger = struct.pack("ii", 1, 0)
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.writer.transport.abort()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# --- Not sent ---------------------------------------------------------------------------------------


async def test_a_refused_connection_is_not_sent(closed_port):
    assert isinstance(await send(f"http://127.0.0.1:{closed_port}"), NotSent)


async def test_a_name_that_does_not_resolve_is_not_sent():
    class NoNames(AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            raise OSError(None, "no such name")

        async def close(self):
            pass

    async with open_session(aiohttp.TCPConnector(resolver=NoNames(), force_close=True)) as session:
        outcome = await Wire(session, "http://upstream.invalid", 5).send(REFRESH)
    assert outcome == NotSent("ClientConnectorDNSError")


async def test_a_failed_tls_handshake_is_not_sent():
    async with running(says(b"this is no TLS\r\n"), reads=False) as peer:
        assert isinstance(await send(f"https://127.0.0.1:{peer.port}"), NotSent)


async def test_a_tls_handshake_without_an_answer_is_not_sent():
    async with running(silence, reads=False) as peer:
        outcome = await send(f"https://127.0.0.1:{peer.port}", timeout_s=0.4)
    assert outcome == NotSent("ConnectionTimeoutError")


async def test_a_header_that_cannot_be_sent_leaves_nothing_on_the_wire():
    async with running(says(http(b"{}"))) as peer:
        outcome = await send(peer.url, Request("GET", "/x", {"x-cal-secret-key": "a\r\nb"}))
    assert not isinstance(outcome, Answer)
    assert peer.requests == []


async def test_a_closed_session_is_not_sent():
    async with open_session() as session:
        wire = Wire(session, "http://127.0.0.1:1", 5)
    assert await wire.send(REFRESH) == NotSent("RuntimeError")


# --- Lost -------------------------------------------------------------------------------------------


async def test_a_connection_accepted_and_closed_unread_is_lost():
    async with running(hang_up, reads=False) as peer:
        assert isinstance(await send(peer.url), Lost)


@pytest.mark.parametrize("end", [hang_up, reset])
async def test_a_request_that_was_read_and_not_answered_is_lost(end):
    async with running(end) as peer:
        assert isinstance(await send(peer.url), Lost)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "fragment",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=["head", "body", "chunk", "chunk-size", "noise", "false-gzip", "two-lengths", "long-header"],
)  # fmt: skip
async def test_half_an_answer_or_none_that_can_be_read_is_lost(fragment):
    async with running(says(fragment)) as peer:
        assert isinstance(await send(peer.url), Lost)


async def test_silence_is_lost_when_the_time_is_up():
    async with running(silence) as peer:
        began = time.monotonic()
        outcome = await send(peer.url, timeout_s=0.3)
    assert outcome == Lost("TimeoutError")
    assert 0.25 < time.monotonic() - began < 2


async def test_the_time_out_covers_the_last_byte():
    async def drip(peer):
        peer.writer.write(http(b" " * 60_000).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        while not peer.released.is_set():
            peer.writer.write(b" ")
            await peer.writer.drain()
            await asyncio.sleep(0.02)

    async with running(drip) as peer:
        assert await send(peer.url, timeout_s=0.3) == Lost("TimeoutError")


async def test_a_reason_never_repeats_what_was_sent_or_received():
    async with running(says(b"HTTP/1.1 200 OK\r\nbad header one-time s3cret\r\n\r\n")) as peer:
        outcome = await send(peer.url)
    assert "one-time" not in repr(outcome)
    assert "s3cret" not in repr(outcome)


async def test_cancellation_is_passed_on():
    async with running(silence) as peer, open_session() as session:
        sending = asyncio.create_task(Wire(session, peer.url, 5).send(REFRESH))
        await peer.read.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


# --- Once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [hang_up, reset])
async def test_what_was_read_once_is_never_sent_again(method, end):
    async with running(end) as peer:
        await send(peer.url, Request(method, "/x"))
    assert len(peer.requests) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_connection_closed_unread_is_not_tried_again(method):
    async with running(hang_up, reads=False) as peer:
        await send(peer.url, Request(method, "/x"))
    assert peer.connections == 1


async def test_each_call_has_a_connection_of_its_own_even_if_the_peer_would_keep_it():
    willing = says(http(b"{}", "200 OK", "Connection: keep-alive"))
    async with running(willing) as peer, open_session() as session:
        wire = Wire(session, peer.url, 5)
        answers = [await wire.send(REFRESH) for _ in range(3)]
    assert [type(answer) for answer in answers] == [Answer] * 3
    assert peer.connections == 3


async def test_a_second_answer_on_a_connection_never_reaches_the_next_call():
    async def twice(peer):
        body = b'{"for": %d}' % peer.connections
        peer.writer.write(http(body) + http(body))
        await peer.released.wait()

    async with running(twice) as peer, open_session() as session:
        wire = Wire(session, peer.url, 5)
        answers = [await wire.send(REFRESH) for _ in range(3)]
    assert [answer.body for answer in answers] == [{"for": 1}, {"for": 2}, {"for": 3}]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status):
    async with running(says(http(b"{}"))) as elsewhere:
        moved = http(b"{}", f"{status} Moved", f"Location: {elsewhere.url}/steal")
        async with running(says(moved)) as peer:
            outcome = await send(peer.url)
    assert outcome == Answer(status, body={})
    assert elsewhere.connections == 0


# --- Limits -----------------------------------------------------------------------------------------


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
