"""nginx, Next.js and Express in front of a real broker, set up by the very blocks of docs/sidecar.md."""

import json
import re

import pytest

from service.adapters.session_check import SessionCheck
from service.adapters.upstream import open_session
from service.broker.model import Nobody, SignedIn
from tests.docs.asking import ALL, FRONTS, UNKNOWN, ask, code_of
from tests.docs.conftest import CLIENT, FAILURES_A_MINUTE
from tests.support.cached import Notes

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(480),
    pytest.mark.usefixtures("slow"),
]

OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}


async def two_tokens(street, user):
    """Return a superseded token of a new user and the current one."""
    await street.stack.create_user(CLIENT, user)
    old = await street.stack.token(CLIENT, user)
    new = await street.stack.rotate(CLIENT, user)
    return old["accessToken"], new["accessToken"]


@pytest.mark.parametrize("front", ALL)
async def test_an_old_token_sent_to_the_apps_own_origin_gets_the_fresh_one(street, front):
    old, new = await two_tokens(street, f"old-{front}")

    status, headers, text = await ask(street.refresh[front], old, **{"X-Request-Id": "r1"})

    assert (status, json.loads(text)["accessToken"]) == (200, new)
    assert headers["Cache-Control"] == "no-store"
    assert {"Origin", "Authorization"} <= set(re.split(r",\s*", ",".join(headers.getall("Vary"))))
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("front", ALL)
async def test_nobody_is_given_what_was_answered_to_another(street, front):
    users = {user: await two_tokens(street, user) for user in (f"ann-{front}", f"bob-{front}")}
    for old, new in [*users.values(), *users.values()]:
        assert json.loads((await ask(street.refresh[front], old))[2])["accessToken"] == new


@pytest.mark.parametrize("front", ALL)
async def test_what_the_broker_refuses_comes_through_as_json(street, front):
    url = street.refresh[front]
    assert await code_of(url) == (401, "bearer_missing")
    assert await code_of(url + "?access_token=" + UNKNOWN) == (400, "bearer_malformed")
    assert (await ask(url))[1]["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("front", ALL)
async def test_pages_of_other_origins_are_refused(street, front):
    assert await code_of(street.refresh[front], UNKNOWN, Origin="https://evil.example") == (
        403,
        "origin_refused",
    )


@pytest.mark.parametrize("front", FRONTS)
async def test_the_apps_own_origin_is_recognised(street, front):
    old, new = await two_tokens(street, f"origin-{front}")
    status, _, text = await ask(street.refresh[front], old, Origin=street.apps[front])
    assert (status, json.loads(text)["accessToken"]) == (200, new)


@pytest.mark.parametrize("front", ALL)
async def test_the_address_cannot_be_opened_as_a_page(street, front):
    assert await code_of(street.refresh[front], UNKNOWN, **OPENED) == (403, "origin_refused")


async def codes_from(url, address, times, **headers):
    """Return what a browser at this address is told that presents an unknown token so often."""
    return [(await code_of(url, UNKNOWN, address=address, **headers))[1] for _ in range(times)]


@pytest.mark.parametrize(("front", "network"), [("nginx", 1), ("express", 2)])
async def test_the_browsers_address_counts_whatever_it_says_of_itself(street, front, network):
    liar, neighbour = f"127.0.{network}.2", f"127.0.{network}.3"
    for attempt in range(FAILURES_A_MINUTE):
        [code] = await codes_from(street.refresh[front], liar, 1, **{"X-Forwarded-For": f"192.0.2.{attempt}"})
        assert code == "token_unknown"
    assert await codes_from(street.refresh[front], liar, 1, **{"X-Forwarded-For": "192.0.2.9"}) == [
        "too_many_requests"
    ]
    assert await codes_from(street.refresh[front], neighbour, 1) == ["token_unknown"]


async def test_behind_next_js_the_address_is_the_one_its_load_balancer_names(street):
    named, other = {"X-Forwarded-For": "192.0.2.77"}, {"X-Forwarded-For": "192.0.2.78"}
    wanted = ["token_unknown"] * FAILURES_A_MINUTE + ["too_many_requests"]
    assert await codes_from(street.refresh["next"], "127.0.3.2", len(wanted), **named) == wanted
    assert await codes_from(street.refresh["next"], "127.0.3.2", 1, **other) == ["token_unknown"]


async def test_the_helper_is_had_through_the_fronts_that_show_it(street):
    for front in ("nginx", "express"):
        status, headers, text = await ask(street.apps[front] + "/keep-fresh.js")
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        assert "export function keepFresh" in text


@pytest.mark.parametrize("front", ALL)
async def test_cookies_and_statements_arrive_for_a_broker_that_binds_tokens_to_sessions(street, front):
    street.way.heard.clear()
    await ask(street.refresh[front], UNKNOWN, Cookie=f"user=eve_{front}", **{"X-Broker-Assertion": "a.b.c"})
    heard = b"".join(street.way.heard).decode().lower()
    assert f"cookie: user=eve_{front}\r\n" in heard
    assert "x-broker-assertion: a.b.c\r\n" in heard or front == "next", "the handler names what it hands on"


@pytest.mark.parametrize("front", ["express", "next"])
@pytest.mark.parametrize(
    ("cookie", "who"), [("user=ann", SignedIn("ann")), ("theme=x", Nobody("not_signed_in"))]
)
async def test_the_shown_endpoint_says_who_is_signed_in(street, front, cookie, who):
    async with open_session() as session:
        check = SessionCheck(session, f"{street.apps[front]}/api/session", 10, Notes())
        assert await check.ask(cookie) == who


async def page(street, user):
    _, headers, text = await ask(street.apps["next"] + "/scheduling", Cookie=f"user={user}")
    return headers, re.search(r'data-access-token="([^"]+)"', text)[1], text


async def first_token(street, user):
    _, headers, text = await ask(street.apps["express"] + "/api/cal/first-token", Cookie=f"user={user}")
    return headers, json.loads(text)["accessToken"], text


@pytest.mark.may_stand(place="GET /scheduling", why="the app gives its own page the first token")
@pytest.mark.may_stand(place="GET /api/cal/first-token", why="the app gives its own page the first token")
@pytest.mark.parametrize("give", [page, first_token])
async def test_who_is_signed_in_is_given_a_first_token(street, give):
    user = f"first_{give.__name__}"

    headers, token, text = await give(street, user)

    assert street.stack.sandbox.is_live(token)
    assert "no-store" in headers["Cache-Control"]
    assert "backend-key" not in text
    again = await give(street, user)
    assert again[1] == token, "the user who was created at the first visit is found at the next"


async def test_who_is_not_signed_in_is_given_none(street):
    assert (await ask(street.apps["express"] + "/api/cal/first-token"))[0] == 401
