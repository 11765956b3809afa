"""The wire against real sockets: what counts as sent, what as lost, and that nothing goes out twice."""

import asyncio
import socket
import time

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from service.adapters.upstream.exchange import Answer, Lost, NotSent, Request, Withheld
from service.adapters.upstream.wire import Wire, open_session
from tests.support.raw_peer import REFRESH, hang_up, http, reset, running, says, send, silence

METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


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
        outcome = await send(f"https://127.0.0.1:{peer.port}", timeout_s=0.6)
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


# --- Withheld ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {"refreshToken": "one-time"}], ids=["no body", "a body"])
async def test_what_may_not_be_sent_when_its_first_byte_would_leave_is_withheld(body):
    async with running(says(http(b"{}"))) as peer:
        outcome = await send(peer.url, Request("POST", "/x", body=body, may_send=lambda: False))
        assert outcome == Withheld()
    assert peer.requests == []


async def test_who_may_send_is_asked_again_when_the_headers_meet_the_body():
    answers = iter([True, False])
    async with running(says(http(b"{}"))) as peer:
        request = Request("POST", "/x", body={"refreshToken": "one-time"}, may_send=lambda: next(answers))
        assert await send(peer.url, request) == Withheld()
    assert peer.requests == []


async def test_what_may_be_sent_is_sent():
    async with running(says(http(b"{}"))) as peer:
        outcome = await send(peer.url, Request("POST", "/x", body={}, may_send=lambda: True))
    assert outcome == Answer(200, {})


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
        outcome = await send(peer.url, timeout_s=0.6)
    assert outcome == Lost("TimeoutError")
    assert 0.55 < time.monotonic() - began < 3


async def test_the_time_out_covers_the_last_byte():
    async def drip(peer):
        peer.writer.write(http(b" " * 60_000).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        while not peer.released.is_set():
            peer.writer.write(b" ")
            await peer.writer.drain()
            await asyncio.sleep(0.02)

    async with running(drip) as peer:
        assert await send(peer.url, timeout_s=0.6) == Lost("TimeoutError")


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
