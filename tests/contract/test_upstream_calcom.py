"""What the Cal.com adapter puts on the wire, what it keeps off it, and what it notes."""

import asyncio
import json

import pytest

from service.adapters.upstream import PROVIDER_KINDS, CalcomPlatform, open_session
from service.broker.model import (
    Confirmed,
    Created,
    Denial,
    Denied,
    Done,
    Found,
    Profile,
    ProfileChange,
    Rotated,
)
from service.broker.ports import Provider
from tests.support.calcom_platform import ACCESS, ANN, PAIR, REFRESH, SECRET, Notes, talking

CALLS = [
    ("refresh", ("one-time",), PAIR, "POST", "/v2/oauth/cl1/refresh", Rotated),
    ("recover", ("7",), PAIR, "POST", "/v2/oauth-clients/cl1/users/7/force-refresh", Rotated),
    ("check", (ACCESS,), None, "GET", "/v2/provider/cl1/access-token", Confirmed),
    ("probe", (), None, "GET", "/v2/provider/cl1/access-token", Confirmed),
    ("create_user", (Profile("a@example.com"),), {"user": ANN, **PAIR}, "POST", "/v2/oauth-clients/cl1/users",
     Created),
    ("find_users", ("Ann+x@example.com",), [ANN], "GET",
     "/v2/oauth-clients/cl1/users?emails=ann%2Bx%40example.com", Found),
    ("read_user", ("7",), ANN, "GET", "/v2/oauth-clients/cl1/users/7", Found),
    ("change_user", ("7", ProfileChange({"bio": "x"})), ANN, "PATCH", "/v2/oauth-clients/cl1/users/7", Done),
    ("delete_user", ("7",), ANN, "DELETE", "/v2/oauth-clients/cl1/users/7", Done),
]  # fmt: skip
LABELS = {name: name.removesuffix("_users").removesuffix("_user") for name, *_ in CALLS}
WITHOUT_CHECK = [call for call in CALLS if call[0] != "check"]


@pytest.mark.parametrize(("name", "given", "data", "method", "path", "kind"), CALLS, ids=LABELS)
async def test_each_call_goes_once_to_its_route(name, given, data, method, path, kind):
    async with talking(data) as (provider, upstream):
        outcome = await getattr(provider, name)(*given)
    assert isinstance(outcome, kind)
    assert [request[:2] for request in upstream.seen] == [(method, path)]


@pytest.mark.parametrize("call", WITHOUT_CHECK, ids=lambda call: call[0])
async def test_client_calls_carry_the_credentials_and_no_token(call):
    async with talking(call[2]) as (provider, upstream):
        await getattr(provider, call[0])(*call[1])
    headers = upstream.seen[0][2]
    assert headers["x-cal-secret-key"] == SECRET
    assert headers["x-cal-client-id"] == "cl1"
    assert "Authorization" not in headers
    assert "Origin" not in headers


async def test_a_check_carries_the_token_and_nothing_of_the_client():
    async with talking() as (provider, upstream):
        await provider.check(ACCESS)
    headers = upstream.seen[0][2]
    assert headers["Authorization"] == f"Bearer {ACCESS}"
    assert not [name for name in headers if name.lower().startswith("x-cal-")]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
async def test_each_call_is_noted_once_without_a_token(call):
    notes = Notes()
    async with talking(call[2], observer=notes) as (provider, _):
        await getattr(provider, call[0])(*call[1])
    ((event, key, facts),) = notes.heard
    assert (event, key, facts["client"], facts["call"]) == ("upstream.call", None, "main", LABELS[call[0]])
    assert facts["outcome"] == call[5].__name__.lower()
    assert 0 < facts["seconds"] < 5
    assert not [text for text in (ACCESS, REFRESH, SECRET, "one-time") if text in repr(notes.heard)]


async def test_a_denial_is_noted_with_its_code_and_our_words():
    body = {"error": {"code": "BadRequestException", "message": f"Invalid refresh token {REFRESH}"}}
    notes = Notes()
    async with talking(body=body, status=400, observer=notes) as (provider, _):
        assert await provider.refresh(REFRESH) == Denied(
            Denial.REFRESH_TOKEN_DEAD, "the refresh token is unknown or spent"
        )
    facts = notes.heard[0][2]
    assert (facts["outcome"], facts["status"], facts["reason"]) == ("denied", 400, "refresh_token_dead")
    assert REFRESH not in repr(facts)


async def test_an_observer_that_fails_does_not_cost_a_pair():
    class Broken:
        def note(self, event, key=None, **facts):
            raise BrokenPipeError

    async with talking(PAIR, observer=Broken()) as (provider, _):
        assert isinstance(await provider.refresh(REFRESH), Rotated)


async def test_the_secret_is_asked_for_at_every_call():
    secrets = iter(["first-secret", "second-secret"])
    async with talking(secrets=lambda: (next(secrets),)) as (provider, upstream):
        await provider.probe()
        await provider.probe()
    assert [request[2]["x-cal-secret-key"] for request in upstream.seen] == ["first-secret", "second-secret"]


@pytest.mark.parametrize("secret", ["", "a\r\nX-Other: b", "a\n", "a b", "\u017c", "\x00", "\udcff"])
@pytest.mark.parametrize("call", WITHOUT_CHECK, ids=lambda call: call[0])
async def test_a_secret_that_is_none_is_a_fault_of_the_client_and_is_not_sent(call, secret):
    async with talking(secrets=lambda: (secret,)) as (provider, upstream):
        outcome = await getattr(provider, call[0])(*call[1])
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.CLIENT_FAULT
    assert upstream.seen == []


@pytest.mark.parametrize("token", ["", "short", "a" * 20 + "\r\nx: y", "a" * 5000, "\udcff" * 30, "a b" * 10])
async def test_what_cannot_be_a_token_is_refused_unsent(token):
    async with talking() as (provider, upstream):
        outcome = await provider.check(token)
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.TOKEN_REFUSED
    assert upstream.seen == []


@pytest.mark.parametrize(
    "upstream_id", ["", "0", "07", "-1", "x", "../8", "7/..", "7?a=b", "7\n", "\u0667", "9" * 40]
)
@pytest.mark.parametrize("name", ["recover", "read_user", "delete_user", "change_user"])
async def test_an_id_that_is_none_never_becomes_a_path(name, upstream_id):
    async with talking(PAIR) as (provider, upstream):
        more = (ProfileChange({"bio": "x"}),) if name == "change_user" else ()
        assert await getattr(provider, name)(upstream_id, *more) == Denied(Denial.INVALID, "calUserId")
    assert upstream.seen == []


async def test_a_profile_goes_out_under_cal_coms_names():
    profile = Profile(
        email="Ann@Example.com", name="Ann", time_zone="Europe/Rome", time_format=24, week_start="Monday",
        locale="it", avatar_url="https://example.com/a.png", bio="Hi", metadata={"plan": "pro", "seats": 3},
    )  # fmt: skip
    async with talking({"user": ANN, **PAIR}, status=201) as (provider, upstream):
        await provider.create_user(profile)
    assert json.loads(upstream.seen[0][3]) == {
        "email": "ann@example.com", "name": "Ann", "timeZone": "Europe/Rome", "timeFormat": 24,
        "weekStart": "Monday", "locale": "it", "avatarUrl": "https://example.com/a.png", "bio": "Hi",
        "metadata": {"plan": "pro", "seats": 3},
    }  # fmt: skip


async def test_what_a_profile_does_not_say_is_left_out():
    async with talking({"user": ANN, **PAIR}, status=201) as (provider, upstream):
        await provider.create_user(Profile("ann@example.com"))
    assert json.loads(upstream.seen[0][3]) == {"email": "ann@example.com"}


async def test_a_change_says_exactly_what_is_changed():
    async with talking(ANN) as (provider, upstream):
        await provider.change_user("7", ProfileChange({"time_zone": "Asia/Tokyo", "bio": None}))
    assert json.loads(upstream.seen[0][3]) == {"timeZone": "Asia/Tokyo", "bio": None}


async def test_a_change_of_an_unknown_field_is_invalid_and_not_sent():
    async with talking(ANN) as (provider, upstream):
        outcome = await provider.change_user("7", ProfileChange({"role": "admin", "bio": "x"}))
    assert outcome == Denied(Denial.INVALID, "role")
    assert upstream.seen == []


async def test_a_force_refresh_has_no_body():
    async with talking(PAIR) as (provider, upstream):
        await provider.recover("7")
    assert upstream.seen[0][3] == ""


async def test_two_clients_in_one_session_keep_apart():
    async with talking(PAIR) as (provider, upstream), open_session() as session:
        other = CalcomPlatform(
            session, str(provider._wire._base_url), "cl2", lambda: ("other",), 5.0, Notes(), "other"
        )
        await asyncio.gather(provider.refresh(REFRESH), other.refresh(REFRESH))
    sent = {(request[1], request[2]["x-cal-secret-key"]) for request in upstream.seen}
    assert sent == {("/v2/oauth/cl1/refresh", SECRET), ("/v2/oauth/cl2/refresh", "other")}


@pytest.mark.parametrize(
    "client_id", ["", "..", "../../admin", "a/b", "a?x", "a#f", "a\r\nX:", "a" * 65, "\u017c"]
)
async def test_a_client_id_that_would_change_the_path_is_refused(client_id):
    async with open_session() as session:
        with pytest.raises(ValueError, match="client id"):
            CalcomPlatform(session, "https://api.cal.com/v2", client_id, lambda: SECRET, 5.0, Notes(), "main")


async def test_wiring_finds_the_adapter_by_the_name_of_its_kind():
    async with open_session() as session:
        given = (session, "https://api.cal.com/v2", "cl1", lambda: SECRET, 5.0, Notes(), "main")
        provider: Provider = PROVIDER_KINDS["calcom-platform"](*given)
        assert provider.recovers
        assert provider.describe("x" * 30).owner_id is None
