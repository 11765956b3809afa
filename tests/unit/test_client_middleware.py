"""The client's aiohttp middleware: whose token goes where, and which calls are made twice."""

import io
import logging

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from token_broker_client import TokenMiddleware, UpstreamUnavailable

from tests.support.scripted_broker import BETTER, HELD, good, problem, scripted

ONCE_MORE = [f"Bearer {HELD}", f"Bearer {BETTER}"]


class CalCom:
    """An API that takes one token, and keeps what it was asked with."""

    def __init__(self, refuses_with=401):
        self.refuses_with = refuses_with
        self.takes = BETTER
        self.bearers, self.bodies = [], []
        self.elsewhere = ""

    async def answer(self, request):
        self.bearers.append(request.headers.get("Authorization"))
        self.bodies.append(await request.read())
        if request.path == "/away":
            raise web.HTTPFound(self.elsewhere)
        taken = self.bearers[-1] == f"Bearer {self.takes}"
        return web.Response(status=200 if taken else self.refuses_with)


@pytest.fixture
async def calcom():
    api = CalCom()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    async with TestServer(app) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api


async def call(api, *answers, path="/v2/me", method="POST", user="anna", **request):
    """One call through the middleware beside a broker with these answers: its status, and the broker."""
    async with scripted(*answers) as it, it.client() as broker:
        middleware = TokenMiddleware(broker, user, origin=api.url)
        async with (
            aiohttp.ClientSession(middlewares=[middleware]) as http,
            http.request(method, f"{api.url}{path}", **request) as answer,
        ):
            await answer.read()
            return answer.status, it


@pytest.mark.parametrize("status", [401, 498])
async def test_a_refused_token_is_reported_and_the_call_made_once_more(calcom, status):
    calcom.refuses_with = status
    answered, it = await call(calcom, good(HELD), good(BETTER, 2), json={"a": 1})
    assert answered == 200
    assert calcom.bearers == ONCE_MORE
    assert calcom.bodies == [b'{"a": 1}'] * 2
    assert it.asked[1] == ("POST", "/v1/users/anna/refresh", {"refused": HELD})


@pytest.mark.parametrize(
    "body", [{"json": [1]}, {"data": b"raw"}, {"data": "text"}, {"data": {"a": "form"}}, {}], ids=str
)
async def test_a_body_that_is_there_as_a_whole_is_sent_again(calcom, body):
    answered, _ = await call(calcom, good(HELD), good(BETTER, 2), **body)
    assert answered == 200
    assert calcom.bodies[0] == calcom.bodies[1]


async def chunks():
    yield b"once"


@pytest.mark.parametrize("make", [chunks, lambda: io.BytesIO(b"once"), lambda: {"f": io.BytesIO(b"x")}])
async def test_a_body_that_is_read_while_it_is_sent_is_not_sent_again_but_the_token_is_reported(calcom, make):
    answered, it = await call(calcom, good(HELD), good(BETTER, 2), data=make())
    assert answered == 401
    assert len(calcom.bearers) == 1
    assert it.methods == ["GET", "POST"]


async def test_a_call_is_made_twice_at_most(calcom):
    calcom.takes = "another-one"
    answered, it = await call(calcom, good(HELD), good(BETTER, 2))
    assert (answered, calcom.bearers, len(it.asked)) == (401, ONCE_MORE, 2)


@pytest.mark.parametrize("status", [400, 403, 429, 500])
async def test_other_answers_are_the_callers_affair(calcom, status):
    calcom.refuses_with = status
    answered, it = await call(calcom, good(HELD), good(BETTER, 2))
    assert (answered, len(calcom.bearers), it.methods) == (status, 1, ["GET"])


async def test_a_token_that_upstream_still_takes_was_not_what_was_refused(calcom):
    answered, _ = await call(calcom, good(HELD), good(HELD))
    assert (answered, len(calcom.bearers)) == (401, 1)


async def test_where_no_better_token_is_to_be_had_the_answer_stands(calcom, caplog):
    caplog.set_level(logging.WARNING)
    answered, _ = await call(calcom, good(HELD), problem("grant_dead", 409))
    assert (answered, len(calcom.bearers)) == (401, 1)
    assert "grant_dead" in caplog.text
    assert HELD not in caplog.text


async def test_without_a_token_there_is_no_call(calcom):
    with pytest.raises(UpstreamUnavailable):
        await call(calcom, problem("upstream_unavailable", 503, after=60))
    assert calcom.bearers == []


async def test_a_redirect_elsewhere_carries_no_token_away(calcom):
    calcom.takes, stranger = HELD, CalCom()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stranger.answer)
    async with TestServer(app) as server:
        calcom.elsewhere = str(server.make_url("/taken"))
        await call(calcom, good(HELD), path="/away", method="GET")
    assert calcom.bearers == [f"Bearer {HELD}"]
    assert stranger.bearers == [None]


async def test_a_call_with_an_authorization_of_its_own_goes_as_it_is(calcom):
    own = {"Authorization": "Bearer of-its-own"}
    answered, it = await call(calcom, good(HELD), headers=own)
    assert (answered, calcom.bearers, it.asked) == (401, ["Bearer of-its-own"], [])


async def test_the_user_may_be_told_from_the_request(calcom):
    def whose(request):
        return request.url.query.get("as")

    _, it = await call(calcom, good(BETTER), path="/v2/me?as=bert", user=whose)
    assert it.asked[0][1].startswith("/v1/users/bert/token")
    _, it = await call(calcom, good(BETTER), path="/v2/me", user=whose)
    assert it.asked == []
