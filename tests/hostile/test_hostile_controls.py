"""The suite can fail: servers that do each thing wrong are found out, and so is what a process gives away."""

import asyncio
import json
import random
from contextlib import asynccontextmanager

import pytest

from sandbox.calcom.jwt import sign
from tests.chaos.folder import OUTPUT
from tests.hostile.__main__ import play_in
from tests.hostile.cases import APP, CANARY, asks, filled, unparsable
from tests.hostile.evidence import traced, weigh, without_its_token
from tests.hostile.play import play_all
from tests.hostile.timing import REASONS
from tests.hostile.timing import weigh as weigh_times
from tests.hostile.wire import Answer, line

HEADERS = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Origin, Authorization",
    "Cross-Origin-Resource-Policy": "same-site",
    "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
    "WWW-Authenticate": "Bearer",
}
PROBLEM = {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "No token.",
           "code": "bearer_missing", "accessToken": ""}  # fmt: skip
NEXT = {"title": "Not Found", "status": 404, "code": "not_found"}
ASKED = asks("control", "no token", 401, "bearer_missing", f"Cookie: {CANARY}")


def answer(*, phrase="401 Unauthorized", headers=(), without=(), length=None, **body):
    """Return the right answer to ASKED, changed as the control says."""
    content = json.dumps(PROBLEM | body).encode()
    given = {**HEADERS, "Content-Length": len(content) if length is None else length, **dict(headers)}
    lines = [f"{name}: {value}" for name, value in given.items() if name not in without]
    return "\r\n".join([f"HTTP/1.1 {phrase}", *lines, "", ""]).encode() + content


WRONG = {
    "another status": answer(phrase="400 Bad Request"),
    "a server's error": answer(phrase="500 Internal Server Error", title="Internal Server Error", status=500),
    "another code": answer(code="token_unknown"),
    "a body without a code": answer(code=None),
    "a word too many in the body": answer(stack="trace"),
    "a token in an error": answer(accessToken="x"),
    "what was sent, in the detail": answer(detail=f"{CANARY} is unknown"),
    "what was sent, in a header": answer(headers=[("X-Note", CANARY)]),
    "a status in the body that is another": answer(status=403),
    "an answer that is stored": answer(headers=[("Cache-Control", "max-age=60")]),
    "an answer that says nothing of caches": answer(without=["Cache-Control"]),
    "an answer that is the same for all": answer(headers=[("Vary", "Origin")]),
    "an answer that may be sniffed": answer(without=["X-Content-Type-Options"]),
    "a banner": answer(headers=[("Server", "Python")]),
    "a cookie": answer(headers=[("Set-Cookie", "a=b")]),
    "an origin that nobody named": answer(headers=[("Access-Control-Allow-Origin", APP)]),
    "an error in the challenge": answer(headers=[("WWW-Authenticate", 'Bearer error="invalid_token"')]),
    "no challenge": answer(without=["WWW-Authenticate"]),
    "an error that is a page": answer(headers=[("Content-Type", "text/html")]),
    "a length too long": answer(length=9999),
    "no length": answer(without=["Content-Length"]),
    "the end after an ordinary answer": answer(headers=[("Connection", "close")]),
    "no HTTP": b"401 Unauthorized\r\n\r\n",
    "nothing": b"",
}


class Pretended:
    """A town whose only listener says what it is told to."""

    def __init__(self, port):
        self.names, self.answers, self.documented = {}, [], 0
        self._port = port

    def line(self, door):
        return line(self._port, self.answers.append)

    def filled(self, sent):
        return filled(sent, self.names)


@asynccontextmanager
async def pretended(first, *, stays=True):
    """Run a server that answers a connection's first request with these bytes, and the next with a 404."""

    async def serve(reader, writer):
        for said in (first, answer(phrase="404 Not Found", without=["WWW-Authenticate"], **NEXT)):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            if not stays or not said or b"9999" in said:
                break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield Pretended(server.sockets[0].getsockname()[1])


async def played(case, first, **how):
    """Return what was found wrong with this answer."""
    async with pretended(first, **how) as town:
        ((_, found),) = await play_all(town, [case])
        return found


async def test_the_right_answer_is_right():
    assert await played(ASKED, answer()) == []


@pytest.mark.parametrize("first", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_answer_is_found_out(first):
    assert await played(ASKED, first) != []


async def test_a_connection_that_goes_on_after_what_is_no_http_is_found_out(monkeypatch):
    monkeypatch.setattr("tests.hostile.play.ENDS_WITHIN_S", 0.2)
    case = unparsable("control", "a NUL", b"X: \0")
    first = answer(phrase="400 Bad Request", headers=[("Connection", "close")], without=["WWW-Authenticate"],
                   title="Bad Request", status=400, code="malformed")  # fmt: skip

    assert await played(case, first, stays=False) == []
    assert "goes on" in str(await played(case, first))


async def test_an_origin_that_is_not_allowed_back_is_found_out():
    case = asks("control", "a page", 401, "bearer_missing", f"Origin: {APP}", origin=APP)

    assert await played(case, answer(headers=[("Access-Control-Allow-Origin", APP)])) == []
    assert await played(case, answer()) != []


def test_traces_and_lines_that_are_none_are_found_out():
    lines = ['{"event":"request.done"}', "Traceback (most recent call last):", '{"event":"request.failed"}']

    assert list(traced("\n".join(lines))) == lines[1:]


def test_only_the_token_that_an_answer_is_there_for_is_left_out():
    body = b'{"accessToken":"one","other":"one"}'

    assert without_its_token(Answer(200, (), body, body)) == b'{"accessToken":"","other":"one"}'
    assert without_its_token(Answer(401, (), body, body)) == body


def test_a_refresh_token_in_its_place_is_not_left_out():
    body = json.dumps({"accessToken": sign({"type": "refresh_token", "jti": "r"}, b"k" * 32)}).encode()

    assert without_its_token(Answer(200, (), body, body)) == body


@pytest.mark.parametrize(("later_us", "told_apart"), [(0, False), (40, True)])
def test_a_reason_that_takes_longer_is_told_apart(later_us, told_apart):
    draw = random.Random(1)
    times = {
        (reason, run): [draw.gauss(600, 50) * 1000 for _ in range(1000)] for reason in REASONS for run in "ab"
    }
    for run in "ab":
        times["revoked", run] = [took + later_us * 1000 for took in times["revoked", run]]

    assert weigh_times(times)["told_apart"] is told_apart


@pytest.mark.may_stand(place="the output of python service.cli serve", why="it is planted there")
@pytest.mark.timeout(180)
async def test_a_run_against_real_processes_finds_what_was_planted(server_folder, capsys):
    mistaken = [asks("control", "mistaken", 200, None), asks("control", "another code", 401, "token_unknown")]
    town, found, codes = await play_in(server_folder, mistaken, lambda text: None)
    with (town.folder / OUTPUT / "main.log").open("a") as log:
        log.write(f"{town.names['ann']}\n")
    town.answers.append(Answer(500, (), b"{}", town.names["secret"].encode()))

    figures = weigh(town, found, codes)

    assert figures | {"leaks": None} == {
        "cases": 2, "wrong": 2, "five_xx": 1, "tracebacks": 1, "leaks": None,
    }  # fmt: skip
    assert figures["leaks"] >= 2
    assert "WRONG control mistaken" in capsys.readouterr().out
