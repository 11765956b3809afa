"""The internal listener: what each call hands to the broker, and what comes back."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from service.broker.errors import (
    Conflict,
    ExistsUpstream,
    GrantDead,
    GrantLive,
    GrantPaused,
    Invalid,
    MinTtlTooLong,
    UserUnknown,
)
from service.broker.model import Event, EventKind, EventQuery, GrantState, Marks, Place, Profile, UserKey
from service.broker.ports import UserQuery
from tests.support.doors import CURRENT, KEY, NOW, SECRET, AnswersScript, UsersScript, open_house, user

TOKEN = "t" * 40
NEW = {"id": "u-1", "email": "Ann@example.com", "name": "Ann"}
PAIR = {"calUserId": 7, "accessToken": TOKEN, "refreshToken": TOKEN}
ISSUED = {
    "accessToken": CURRENT,
    "accessTokenExpiresAt": int(NOW.timestamp() * 1000) + 3_600_000,
    "calUserId": 7,
    "generation": 5,
}


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


async def answer(house, method, path, **request):
    async with house.call(method, path, **request) as response:
        return response.status, (await response.json() if await response.read() else None)


async def test_creating_a_user_answers_with_the_user_and_no_token(house):
    status, body = await answer(house, "POST", "/v1/users", json=NEW)

    assert (status, body["id"], body["calUserId"], body["state"]) == (201, "u-1", 7, "LIVE")
    assert house.users.calls == [("create", KEY, Profile("ann@example.com", "Ann"), "app")]
    assert CURRENT not in str(body)
    assert SECRET not in str(body)


async def test_creating_the_same_user_again_finds_it():
    async with open_house(users=UsersScript(create=(user(), False))) as house:
        assert (await answer(house, "POST", "/v1/users", json=NEW))[0] == 200


async def test_a_user_is_shown_with_the_state_of_its_pair():
    used = user().grant.binding.__class__(NOW, NOW + timedelta(minutes=5))
    grant = user().grant.__class__(
        KEY,
        "7",
        GrantState.LIVE,
        "created",
        5,
        user().grant.pair,
        used,
        Marks(refused=True),
        last_error="no answer",
    )
    async with open_house(users=UsersScript(read=user(grant=grant))) as house:
        _, body = await answer(house, "GET", "/v1/users/u-1")

    assert body["pair"] == {
        "generation": 5, "issuedAt": "2026-03-01T12:00:00Z", "expiresAt": "2026-03-01T13:00:00Z",
        "refreshAt": "2026-03-01T12:50:00Z", "lastUsedAt": "2026-03-01T12:05:00Z", "lastError": "no answer",
        "lastErrorAt": None, "refused": True, "distrusted": False,
    }  # fmt: skip
    assert (body["email"], body["name"], body["metadata"]) == ("ann@example.com", "Ann", {"plan": "pro"})


async def test_a_user_that_is_being_created_has_no_pair():
    pending = user(grant=None, upstream_id=None)
    async with open_house(users=UsersScript(read=pending)) as house:
        _, body = await answer(house, "GET", "/v1/users/u-1")

    assert (body["state"], body["pair"], body["calUserId"]) == (None, None, None)


async def test_users_are_listed_a_page_at_a_time():
    users = [user(UserKey("acme", name)) for name in ("u-1", "u-2", "u-3")]
    async with open_house(users=UsersScript(page=users)) as house:
        path = "/v1/users?limit=2&cursor=u-0&state=DEAD&calUserId=7&email=Ann%2Bx@example.com"
        _, full = await answer(house, "GET", path)
        _, last = await answer(house, "GET", "/v1/users?limit=3")

    query = UserQuery("acme", 3, "u-0", GrantState.DEAD, "7", "ann+x@example.com")
    assert house.users.calls[0] == ("page", query)
    assert ([each["id"] for each in full["users"]], full["cursor"]) == (["u-1", "u-2"], "u-2")
    assert last["cursor"] is None


async def test_a_token_is_handed_out_with_its_generation(house):
    assert await answer(house, "GET", "/v1/users/u-1/token?min_ttl=900") == (200, ISSUED)
    assert house.answers.calls == [("for_service", KEY, 900.0, True)]


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (None, ("rotate", KEY, False, "app")),
        ({}, ("rotate", KEY, False, "app")),
        ({"force": True}, ("rotate", KEY, True, "app")),
        ({"refused": TOKEN}, ("complain", KEY, TOKEN, "app")),
    ],
)
async def test_a_refresh_is_a_complaint_or_a_rotation(house, body, call):
    request = {} if body is None else {"json": body}

    assert await answer(house, "POST", "/v1/users/u-1/refresh", **request) == (200, ISSUED)
    assert house.answers.calls == [call]


@pytest.mark.parametrize("verb", ["revoke", "pause", "resume"])
async def test_a_user_is_revoked_paused_and_resumed(house, verb):
    status, body = await answer(house, "POST", f"/v1/users/u-1/{verb}")

    assert (status, body["id"]) == (200, "u-1")
    assert house.users.calls == [(verb, KEY, "app")]


async def test_a_pair_is_enrolled(house):
    status, _ = await answer(house, "PUT", "/v1/users/u-1/tokens?replace=true", json=PAIR)

    (_, key, enrolment, replace, actor) = house.users.calls[0]
    assert (status, key, enrolment.upstream_id, replace, actor) == (200, KEY, "7", True, "app")


async def test_a_user_is_recovered_by_an_administrator(house):
    body = {"calUserId": 7, "email": "ann@example.com", "recover": True}

    refused, _ = await answer(house, "PUT", "/v1/users/u-1/tokens", json=body)
    done, _ = await answer(house, "PUT", "/v1/users/u-1/tokens", json=body, key="root-key")

    assert (refused, done) == (403, 200)
    assert house.users.calls == [("recover", KEY, "7", "ann@example.com", "root")]


async def test_an_administrator_alone_does_not_enrol(house):
    assert (await answer(house, "PUT", "/v1/users/u-1/tokens", json=PAIR, key="root-key"))[0] == 403


async def test_a_profile_is_changed_field_by_field(house):
    await answer(house, "PATCH", "/v1/users/u-1", json={"timeZone": "UTC"})

    assert house.users.calls == [("change", KEY, {"time_zone": "UTC"}, "app")]


async def test_a_user_is_deleted_without_a_word(house):
    assert await answer(house, "DELETE", "/v1/users/u-1") == (204, None)
    assert house.users.calls == [("delete", KEY, "app")]


async def test_events_are_shown_newest_first(house):
    _, body = await answer(house, "GET", "/v1/users/u-1/events?limit=5")

    (event,) = body["events"]
    told = {name: value for name, value in event.items() if value is not None}
    assert told == {
        "at": "2026-03-01T12:00:00Z", "kind": "change", "event": "refresh.rotated", "generation": 5,
        "trigger": "ahead", "count": 1,
    }  # fmt: skip
    assert body["cursor"] is None
    assert house.users.calls == [("events", KEY, EventQuery(limit=6))]


async def test_a_page_of_events_ends_with_a_cursor_that_asks_for_the_next():
    found = [Event(NOW, "refresh.rotated", number, id=UUID(int=number)) for number in (3, 2, 1)]
    async with open_house(users=UsersScript(events=found)) as house:
        _, body = await answer(house, "GET", "/v1/users/u-1/events?limit=2")
        assert [event["generation"] for event in body["events"]] == [3, 2]
        await answer(house, "GET", f"/v1/users/u-1/events?cursor={body['cursor']}")
    assert house.users.calls[1] == ("events", KEY, EventQuery(limit=51, after=Place(NOW, UUID(int=2))))


async def test_events_are_asked_for_by_kind_and_time(house):
    asked = "kind=act&since=2026-03-01T13:00:00%2B01:00&until=2026-03-01T12:00:00.5Z"
    assert (await answer(house, "GET", f"/v1/users/u-1/events?{asked}"))[0] == 200
    half = NOW + timedelta(seconds=0.5)
    query = EventQuery(limit=51, kind=EventKind.ACT, since=NOW, until=half)
    assert house.users.calls == [("events", KEY, query)]


@pytest.mark.parametrize(
    "asked",
    ["kind=all", "since=yesterday", "since=2026-03-01", "until=2026-02-30T00:00:00Z", "cursor=u-1",
     "cursor=1-0", "limit=501", "since=2026-03-01T12:00:00Z&since=2026-03-01T12:00:00Z"],
)  # fmt: skip
async def test_a_question_about_events_that_does_not_fit_is_named(house, asked):
    status, body = await answer(house, "GET", f"/v1/users/u-1/events?{asked}")
    assert (status, body["errors"][0]["field"]) == (422, asked.partition("=")[0])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"])
async def test_an_instant_at_the_end_of_the_calendar_is_one(house, at):
    assert (await answer(house, "GET", f"/v1/users/u-1/events?since={at}&until={at}"))[0] == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UserUnknown(), 404, "user_unknown"), (Conflict(), 409, "conflict"), (GrantDead(), 409, "grant_dead"),
        (ExistsUpstream(), 409, "exists_upstream"), (GrantPaused(), 409, "grant_paused"),
        (GrantLive(), 409, "grant_live"), (MinTtlTooLong(), 422, "min_ttl_too_long"),
        (Invalid(fields={"email": "was refused by upstream"}), 422, "invalid"),
    ],
)  # fmt: skip
async def test_what_the_broker_refuses_is_passed_on_by_its_code(error, status, code):
    async with open_house(users=UsersScript(read=error)) as house:
        answered, body = await answer(house, "GET", "/v1/users/u-1")

    assert (answered, body["code"]) == (status, code)
    assert "accessToken" not in body


async def test_a_caller_waits_so_long_and_the_work_goes_on():
    users = UsersScript(create=asyncio.Event(), create_after=(user(), True))
    async with open_house(users=users, answer_timeout_s=0.05) as house:
        status, body = await answer(house, "POST", "/v1/users", json=NEW)
        running = set(house.listeners.waits._running)
        users.results["create"].set()
        (result,) = await asyncio.gather(*running)

    assert (status, body["code"]) == (503, "refresh_in_progress")
    assert result == (user(), True)


async def test_late_failures_are_noted_without_their_message():
    users = UsersScript(create=asyncio.Event(), create_after=RuntimeError(SECRET))
    async with open_house(users=users, answer_timeout_s=0.05) as house:
        await answer(house, "POST", "/v1/users", json=NEW)
        running = set(house.listeners.waits._running)
        users.results["create"].set()
        await asyncio.gather(*running, return_exceptions=True)

    assert house.notes.of("request.work_failed") == [{"error": "RuntimeError", "key": None}]
    assert SECRET not in str(house.notes.heard)


async def test_only_a_key_that_vouches_vouches():
    from tests.support.doors import api_key

    answers = AnswersScript()
    keys = [api_key("batch", "tokens:read")]
    async with open_house(answers=answers, api_keys=lambda: keys) as house:
        await answer(house, "GET", "/v1/users/u-1/token", key="batch-key")

    assert answers.calls == [("for_service", KEY, None, False)]
