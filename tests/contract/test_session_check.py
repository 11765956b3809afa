"""The app asked who is signed in, over a real connection: what it is sent, and what every answer means."""

import asyncio

import pytest

from service.adapters.session_check import SessionCheck
from service.adapters.upstream import open_session
from service.broker.errors import SessionUnavailable
from service.broker.model import Nobody, SignedIn
from tests.support.cached import Notes
from tests.support.raw_peer import hang_up, http, reset, running, says, silence

COOKIES = "session=abc; theme=dark"


async def asked(peer, cookies=COOKIES, *, path="/api/session", timeout_s=5.0, notes=None):
    url = peer.url.removesuffix("/v2") + path
    async with open_session() as session:
        return await SessionCheck(session, url, timeout_s, notes or Notes()).ask(cookies)


async def test_the_app_is_sent_the_cookies_and_nothing_of_anybodys_token():
    async with running(says(http(b'{"id":"u-1"}'))) as peer:
        assert await asked(peer, path="/api/session?for=broker") == SignedIn("u-1")

    line, *headers = peer.requests[0].decode().rstrip().split("\r\n")
    assert line == "GET /api/session?for=broker HTTP/1.1"
    names = {header.partition(":")[0] for header in headers}
    assert names == {
        "Host",
        "Cookie",
        "Cache-Control",
        "Accept",
        "Accept-Encoding",
        "User-Agent",
        "Connection",
    }
    assert f"Cookie: {COOKIES}" in headers


@pytest.mark.parametrize(
    ("answer", "who"),
    [
        (http(b'{"id":"u-1","name":"Ann"}'), SignedIn("u-1")),
        (http(b'{"id":"u-1"}', "201 Created"), SignedIn("u-1")),
        (
            http(b'{"id":"u-1","client":"acme"}', "200 OK", "Content-Type: text/plain"),
            SignedIn("u-1", "acme"),
        ),
        (http(b"", "401 Unauthorized"), Nobody("not_signed_in")),
        (http(b'{"id":"u-1"}', "403 Forbidden"), Nobody("not_signed_in")),
    ],
)
async def test_a_clear_answer_is_taken(answer, who):
    async with running(says(answer)) as peer:
        assert await asked(peer) == who


UNCLEAR = {
    "a redirect": http(b'{"id":"u-1"}', "302 Found", "Location: /login"),
    "a kept redirect": http(b'{"id":"u-1"}', "307 Temporary Redirect", "Location: http://127.0.0.1:1/"),
    "an error": http(b'{"id":"u-1"}', "500 Internal Server Error"),
    "no room": http(b"", "503 Service Unavailable"),
    "another refusal": http(b'{"id":"u-1"}', "404 Not Found"),
    "nothing new": http(b"", "304 Not Modified"),
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a page": http(b"<html>sign in</html>"),
    "a list": http(b'["u-1"]'),
    "null": http(b"null"),
    "nobody's id": http(b"{}"),
    "a number": http(b'{"id":7}'),
    "an empty id": http(b'{"id":""}'),
    "a long id": http(b'{"id":"%s"}' % (b"x" * 129)),
    "a list of ids": http(b'{"id":["u-1"]}'),
    "a strange client": http(b'{"id":"u-1","client":7}'),
    "no UTF-8": http(b'{"id":"\xff"}'),
    "a deep body": http(b"[" * 60_000),
    "a huge body": http(b'{"id":"u-1","x":"%s"}' % (b"x" * 70_000)),
    "half a body": b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"id":"u-1"}',
    "a bomb": http(b"\x1f\x8b broken", "200 OK", "Content-Encoding: gzip"),
    "no HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("kind", UNCLEAR)
async def test_what_is_no_clear_answer_is_none(kind):
    notes = Notes()
    async with running(says(UNCLEAR[kind])) as peer:
        with pytest.raises(SessionUnavailable):
            await asked(peer, notes=notes)
        assert peer.connections == 1

    [(event, _, facts)] = notes.heard
    assert (event, facts["dependency"]) == ("dependency.down", "session_check")
    assert not {"u-1", "abc"} & set(str(facts["reason"]).split())


@pytest.mark.parametrize("script", [hang_up, reset, silence])
async def test_who_breaks_off_or_stays_silent_is_asked_once(script):
    async with running(script) as peer:
        with pytest.raises(SessionUnavailable):
            await asked(peer, timeout_s=0.3)
        assert peer.connections == 1


async def test_an_endless_body_is_left_when_it_is_too_long():
    async def endless(peer):
        peer.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")
            await peer.writer.drain()

    async with running(endless) as peer:
        with pytest.raises(SessionUnavailable):
            await asked(peer)


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    async with running(says(http(b'{"id":"u-1"}'))) as peer, running(silence) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert await asked(peer) == SignedIn("u-1")
        assert proxy.connections == 0


async def test_no_cookie_is_kept_from_one_user_to_the_next():
    script = says(http(b'{"id":"u-1"}', "200 OK", "Set-Cookie: session=mine; Path=/"))
    async with running(script) as peer, open_session() as session:
        check = SessionCheck(session, f"{peer.url.removesuffix('/v2')}/s", 5, Notes())
        await check.ask("session=first")
        await check.ask("session=second")

    assert [request.count(b"Cookie:") for request in peer.requests] == [1, 1]
    assert b"session=second" in peer.requests[1]
    assert b"mine" not in peer.requests[1]


async def test_after_trouble_it_looks_without_cookies_until_the_app_answers_again():
    answers = [UNCLEAR["an error"], http(b"", "401 Unauthorized")]

    async def in_turn(peer):
        peer.writer.write(answers.pop(0))
        await peer.writer.drain()

    notes = Notes()
    async with running(in_turn) as peer, open_session() as session:
        check = SessionCheck(session, peer.url, 5, notes)
        await asyncio.gather(check.ask(COOKIES), return_exceptions=True)
        await check.look()
        await check.look()

    assert [event for event, _, _ in notes.heard] == ["dependency.down", "dependency.up"]
    assert b"Cookie" not in peer.requests[1]
