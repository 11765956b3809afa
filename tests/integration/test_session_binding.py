"""Tokens bound to the app's sessions: the whole broker behind its doors, and a real app that is asked."""

import asyncio
import time

import pytest
from aiohttp import web

from tests.support.served import ANYWHERE, served
from tests.support.signing_in import an_app
from tests.support.statements import public, statement

UNKNOWN = "unknown-token." + "u" * 40


@pytest.fixture
async def app():
    async with an_app() as running:
        yield running


@pytest.fixture
async def bound(app, worlds):
    return await worlds(SESSION_CHECK_URL=app.check_url, **ANYWHERE)


@pytest.fixture
async def house(bound):
    async with served(bound) as opened:
        yield opened


async def superseded(world, name="anna"):
    """A user with the token of a page, and the newer one that it is to be given."""
    user = await world.user(name)
    old = await user.token()
    return user, old, await user.rotate()


async def test_the_signed_in_users_page_is_given_the_current_token(app, bound, house):
    _, old, new = await superseded(bound)
    status, body = await house.refresh(old, Cookie=app.cookie_of("anna"))
    assert (status, body["accessToken"]) == (200, new)


async def test_the_app_is_shown_the_cookies_and_nothing_else_of_the_browser(app, bound, house):
    _, old, _ = await superseded(bound)
    cookie = app.cookie_of("anna")
    await house.refresh(
        old, Cookie=cookie, **{"X-Custom": "x", "User-Agent": "browser", "X-Request-Id": "r1"}
    )

    [headers] = app.headers
    assert headers.getall("Cookie") == [cookie]
    ours = {"Host", "Accept", "Accept-Encoding", "Cache-Control", "User-Agent", "Connection"}
    assert set(headers) == ours | {"Cookie"}
    assert headers["User-Agent"] == "token-broker"
    assert old not in str(headers)


async def test_another_users_session_gets_nothing_costs_upstream_nothing_and_is_counted(app, bound, house):
    user, old, _ = await superseded(bound)
    user.forget_calls()
    current = await user.token()
    cookie = app.cookie_of("bob")
    for token in (old, current):
        status, body = await house.refresh(token, Cookie=cookie)
        assert (status, body["code"], body["accessToken"]) == (403, "session_mismatch", "")

    assert user.calls() == []
    assert 'token_reuse_total{kind="session_mismatch"} 2.0' in await house.metrics()


async def test_nobodys_browser_is_answered_as_one_with_an_unknown_token(app, bound, house):
    _, old, _ = await superseded(bound)
    unknown = await house.refresh(UNKNOWN, Cookie=app.cookie_of("anna"))
    assert unknown[0] == 401
    for cookies in ({}, {"Cookie": "session=made-up"}, {"Cookie": "other=1"}):
        assert await house.refresh(old, **cookies) == unknown


async def test_the_app_hears_nothing_of_tokens_that_do_not_count(app, bound, house):
    user, old, _ = await superseded(bound)
    await bound.broker.users.revoke(user.key, actor="test")
    _, past, _ = await superseded(bound, "bob")
    await bound.later(days=3)

    cookie = app.cookie_of("anna")
    answers = [await house.refresh(token, Cookie=cookie) for token in (UNKNOWN, old, past)]
    assert answers[0][0] == 401
    assert answers == answers[:1] * 3
    assert app.headers == []


async def test_a_revoke_while_the_app_is_asked_counts(app, bound, house):
    user, old, _ = await superseded(bound)
    gate = app.hold()
    asking = asyncio.create_task(house.refresh(old, Cookie=app.cookie_of("anna")))
    await app.asked()
    await bound.broker.users.revoke(user.key, actor="test")
    gate.set()
    assert (await asking)[0] == 401


async def test_a_pair_that_is_replaced_while_the_app_is_asked_is_the_one_given(app, bound, house):
    user, old, _ = await superseded(bound)
    gate = app.hold()
    asking = asyncio.create_task(house.refresh(old, Cookie=app.cookie_of("anna")))
    await app.asked()
    newest = await user.rotate()
    gate.set()
    assert (await asking)[1]["accessToken"] == newest


async def test_a_sign_out_counts_from_the_next_question_on(app, bound, house):
    _, old, _ = await superseded(bound)
    cookie = app.cookie_of("anna")
    assert (await house.refresh(old, Cookie=cookie))[0] == 200
    app.sessions.clear()
    assert (await house.refresh(old, Cookie=cookie))[0] == 401


ANSWERS = {
    "error": lambda: web.Response(status=500),
    "redirect": lambda: web.HTTPFound("/jwks.json"),
    "page": lambda: web.Response(text="<html>", content_type="text/html"),
    "number": lambda: web.json_response({"id": 7}),
    "huge": lambda: web.json_response({"id": "anna", "x": "x" * 100_000}),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_without_a_clear_answer_nobody_gets_anything_until_there_is_one(app, bound, house, kind):
    user, old, new = await superseded(bound)
    cookie = app.cookie_of("anna")
    app.answer = ANSWERS[kind]
    status, body = await house.refresh(old, Cookie=cookie)
    assert (status, body["code"], body["accessToken"]) == (503, "session_unavailable", "")
    assert await house.degraded() == {"session_check"}

    app.answer = None
    assert (await house.refresh(old, Cookie=cookie))[1]["accessToken"] == new
    assert await house.degraded() == set()
    assert user.calls("force") == []


async def test_an_app_that_hangs_is_left_long_before_the_browser_is(app, bound, house):
    _, old, _ = await superseded(bound)
    app.hold()
    began = time.monotonic()
    status, body = await house.refresh(old, Cookie=app.cookie_of("anna"))
    assert (status, body["code"]) == (503, "session_unavailable")
    # A quarter of the ten seconds that browsers wait here, with room for a slow machine.
    assert 2.4 < time.monotonic() - began < 8


async def test_an_app_that_hangs_holds_up_neither_services_nor_probes(app, bound, house):
    user, old, new = await superseded(bound)
    app.hold()
    asking = [asyncio.create_task(house.refresh(old, Cookie=app.cookie_of("anna"))) for _ in range(20)]
    await app.asked(20)
    assert (await house.token(user))[1]["accessToken"] == new
    assert await house.alive()
    app.gate.set()
    assert {body["accessToken"] for _, body in await asyncio.gather(*asking)} == {new}


async def test_fifty_tabs_of_one_browser_are_one_question(app, bound, house):
    _, old, new = await superseded(bound)
    cookie = app.cookie_of("anna")
    gate = app.hold()
    first = asyncio.create_task(house.refresh(old, Cookie=cookie))
    await app.asked()
    others = [asyncio.create_task(house.refresh(old, Cookie=cookie)) for _ in range(49)]
    await asyncio.sleep(0.3)  # long enough to be asked again, were they not joined
    gate.set()
    assert {body["accessToken"] for _, body in await asyncio.gather(first, *others)} == {new}
    assert len(app.headers) < 10


@pytest.fixture
async def stated(app, worlds):
    """A world that wants statements by the app's keys, had from their address."""
    world = await worlds(ASSERTION_JWKS=app.jwks_url, **ANYWHERE)
    async with served(world) as opened:
        yield world, opened


def says(kid="ed", **changes):
    return {"X-Broker-Assertion": statement(kid, now=int(time.time()), **changes)}


async def test_a_statement_about_the_user_suffices(stated):
    world, house = stated
    _, old, new = await superseded(world)
    assert (await house.refresh(old, **says(sub="anna")))[1]["accessToken"] == new


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"sub": "bob"}, 403), ({"sub": "anna", "client": "other"}, 403), ({"sub": "anna", "aud": "app"}, 401),
     ({"sub": "anna", "exp": 1}, 401), ({"sub": "anna", "kid": "ec"}, 401)],
)  # fmt: skip
async def test_any_other_statement_does_not(stated, changes, status):
    world, house = stated
    _, old, _ = await superseded(world)
    assert (await house.refresh(old, **says(**changes)))[0] == status


async def test_a_key_that_the_app_takes_into_use_is_found_without_a_restart(app, stated):
    world, house = stated
    _, old, new = await superseded(world)
    source = house.witnesses.statements._keys
    app.keys = {"keys": [public("ed"), public("ec")]}
    assert (await house.refresh(old, **says("ed", sub="anna")))[0] == 200
    source._again_at = 0.0
    assert (await house.refresh(old, **says("ec", sub="anna")))[1]["accessToken"] == new
