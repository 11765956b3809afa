"""What arrives over the wire that no client library would send."""

import asyncio
import contextlib
import json
import logging

import pytest

from service.api import body, protocol
from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import CURRENT, HELD, open_house
from tests.support.waiting import eventually

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXBhcnQ.c2lnbmF0dXJl"
GOOD = f"GET /refresh HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {HELD}\r\n\r\n".encode()


SHORT_WAYS = {
    "no short way": lambda: None,
    "users near": lambda: AtHandScript(near=hit_of),
    "users in the cache": lambda: AtHandScript(far=hit_of),
    "users nowhere": AtHandScript,
}


@pytest.fixture(params=SHORT_WAYS.values(), ids=SHORT_WAYS)
async def house(request):
    async with open_house(at_hand=request.param()) as opened:
        yield opened


async def send(house, *parts, listener="public"):
    """Send bytes as they are, and return all that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port(listener))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


def request(*lines, target="/refresh", method="GET", version="HTTP/1.1", host="Host: x", body=b""):
    head = [f"{method} {target} {version}", *([host] if host else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


CLOSE = "Connection: close"
BEARER = f"Authorization: Bearer {TOKEN}"

UNPARSABLE = {
    "nul in the token": request(BEARER + "\x00"),
    "control character in the token": request(BEARER + "\x01"),
    "delete character in the token": request(BEARER + "\x7f"),
    "an over-long header": request(BEARER + "a" * 70_000),
    "bare line feed": request(BEARER + "\nX: y"),
    "folded header": request(BEARER, " folded"),
    "space before the colon": request(f"Authorization : Bearer {TOKEN}"),
    "a thousand headers": request(BEARER, *(f"X-{number}: y" for number in range(1000))),
    "length and chunks": request(BEARER, "Content-Length: 4", "Transfer-Encoding: chunked"),
    "odd transfer encoding": request(BEARER, "Transfer-Encoding: xchunked"),
    "two lengths": request(BEARER, "Content-Length: 2", "Content-Length: 3"),
    "a signed length": request(BEARER, "Content-Length: +2"),
    "a negative length": request(BEARER, "Content-Length: -1"),
    "a length of twenty digits": request(BEARER, "Content-Length: 99999999999999999999"),
    "no host": request(BEARER, host=""),
    "two hosts": request(BEARER, "Host: y"),
    "an unknown version": request(BEARER, version="HTTP/9.9"),
    "an unknown method": request(BEARER, method="FOO"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00" + TOKEN.encode() + b"\r\n\r\n",
    "a line too long": request(BEARER, target="/" + "a" * 70_000),
}


@pytest.mark.parametrize("raw", UNPARSABLE.values(), ids=UNPARSABLE.keys())
async def test_what_is_no_http_gets_a_constant_answer_that_echoes_nothing(house, raw, caplog):
    caplog.set_level(logging.DEBUG)

    answer = await send(house, raw)

    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in head
    assert b"Server:" not in head
    assert json.loads(text)["accessToken"] == ""
    assert TOKEN[:30] not in answer.decode() + caplog.text + str(house.notes.heard)


async def test_a_megabyte_of_header_ends_the_connection(house, caplog):
    caplog.set_level(logging.DEBUG)

    with contextlib.suppress(ConnectionResetError):
        assert (await send(house, request(BEARER + "a" * 1_000_000))).startswith(b"HTTP/1.1 400 ")

    assert house.notes.of("request.done")[0]["route"] == "unparsable"
    assert TOKEN[:30] not in caplog.text + str(house.notes.heard)


async def test_what_is_no_http_is_counted_once_without_a_word_of_it(house):
    await send(house, UNPARSABLE["nul in the token"])

    (done,) = house.notes.of("request.done")
    assert (done["route"], done["status"]) == ("unparsable", 400)
    assert house.notes.of("request.failed") == []


async def test_the_other_listeners_answer_what_is_no_http_in_their_own_form(house):
    answer = await send(house, UNPARSABLE["nul in the token"], listener="internal")

    assert b"accessToken" not in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed"


@pytest.mark.parametrize("token", ["Bearer żółć", "Bearer \xff\xfe", "Bearer ' OR 1=1", "Bearer \x80"])
async def test_bytes_above_ascii_in_the_header_are_malformed(house, token):
    raw = f"GET /refresh HTTP/1.1\r\nHost: x\r\n{CLOSE}\r\nAuthorization: {token}\r\n\r\n"

    for encoding in ("utf-8", "latin-1"):
        answer = await send(house, raw.encode(encoding, errors="replace"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"bearer_malformed" in answer


async def test_a_repeated_header_is_malformed(house):
    answer = await send(
        house, request(f"Authorization: Bearer {HELD}", f"Authorization: Bearer {HELD}", CLOSE)
    )

    assert b"bearer_malformed" in answer


@pytest.mark.parametrize(
    ("target", "method"),
    [("http://evil.example/refresh", "GET"), ("*", "OPTIONS"), ("evil.example:443", "CONNECT")],
)
async def test_a_target_that_is_no_path_is_refused(house, target, method):
    answer = await send(house, request(f"Authorization: Bearer {HELD}", CLOSE, target=target, method=method))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert house.answers.calls == []


async def test_after_connect_the_connection_ends(house):
    answer = await send(house, request(target="evil.example:443", method="CONNECT"))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/2.0"])
async def test_other_versions_are_not_served_as_if_they_were_this_one(house, version):
    answer = await send(house, request(f"Authorization: Bearer {HELD}", version=version))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert house.answers.calls == []


async def test_http_1_0_is_answered_and_closed(house):
    answer = await send(house, request(f"Authorization: Bearer {HELD}", version="HTTP/1.0", host=""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer


async def test_requests_sent_ahead_are_answered_in_order(house):
    last = request(CLOSE, target="/healthz")

    answer = await send(house, GOOD + last)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(CURRENT.encode()) < answer.index(b'{"status":"ok"}')


async def test_an_upgrade_is_not_taken_up(house):
    asked = request(f"Authorization: Bearer {HELD}", "Connection: Upgrade", "Upgrade: websocket")

    answer = await send(house, asked + request(CLOSE, target="/healthz"))

    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_a_head_that_trickles_in_ends_the_connection(house, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.05)

    assert await send(house, b"GET /refresh HT") == b""


async def test_a_connection_on_which_nothing_is_said_ends(house, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.05)

    assert await send(house) == b""


async def test_a_head_in_two_parts_is_answered_and_its_timer_forgotten(house, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_DEADLINE_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("public"))
    writer.write(GOOD[:30])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(GOOD[30:])
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"

    writer.write(request(CLOSE, target="/healthz"))
    rest = await asyncio.wait_for(reader.read(), 5)

    assert b'{"status":"ok"}' in rest
    writer.close()


def being_answered(house, listener):
    """Whether a request of this listener is with its handler."""
    server = house.listeners.open[listener].runner.server
    return any(connection._current_request is not None for connection in server.connections)


def creation(*lines, body=b"{}", key="app-key"):
    return request(
        f"Authorization: Bearer {key}", "Content-Type: application/json", CLOSE, *lines,
        method="POST", target="/v1/users", body=body,
    )  # fmt: skip


async def test_a_body_that_does_not_arrive_is_not_waited_for(house, monkeypatch):
    monkeypatch.setattr(body, "DEADLINE_S", 0.05)
    monkeypatch.setattr(protocol, "LINGER_S", 0.05)

    answer = await send(house, creation("Content-Length: 10", body=b"{"), listener="internal")

    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("lines", "raw", "status"),
    [
        (["Content-Length: 16385"], b" " * 16385, b"413"),
        (["Transfer-Encoding: chunked"], b"4001\r\n" + b" " * 16385 + b"\r\n0\r\n\r\n", b"413"),
        (["Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n0\r\n\r\n", b"400"),
        (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n", b"422"),
        (["Content-Encoding: gzip", "Content-Length: 2"], b"{}", b"415"),
    ],
)
async def test_a_body_is_bounded_and_framed(house, lines, raw, status):
    answer = await send(house, creation(*lines, body=raw), listener="internal")

    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("rest", [b"0x2\r\n{}\r\n", b"0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"])
async def test_a_body_that_breaks_later_is_answered_at_once(house, rest):
    begun = creation("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"))
    writer.write(begun)
    await eventually(lambda: being_answered(house, "internal"))
    writer.write(rest)
    answer = await asyncio.wait_for(reader.read(), 4)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert house.notes.of("request.failed") == []


async def test_a_body_that_breaks_behind_its_answer_gets_no_second_one(house):
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"))
    writer.write(creation("Transfer-Encoding: chunked", body=b"2\r\n{}\r\n", key="unknown"))
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")

    writer.write(b"0x2\r\n{}\r\n")
    rest = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert rest.count(b"HTTP/1.1 ") == 0
    assert house.notes.of("request.failed") == []


async def test_a_client_that_asks_first_is_told_to_go_on(house):
    answer = await send(house, creation("Content-Length: 2", "Expect: 100-continue"), listener="internal")

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422 ")


async def test_an_error_in_the_frame_itself_is_answered_too():
    def fails(_):
        raise RuntimeError(TOKEN)

    async with open_house(enter_request=fails) as house:
        answer = await send(house, GOOD)

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "internal"
    assert TOKEN not in answer.decode() + str(house.notes.heard)


async def test_answers_ask_for_a_new_connection_while_draining(house):
    house.ready.draining = True

    answer = await send(house, GOOD)

    assert b"Connection: close" in answer
    assert CURRENT.encode() in answer
