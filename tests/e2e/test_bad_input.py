"""Bad input over real sockets and processes: a clear 4xx problem, nothing sent upstream, nothing lost."""

import pytest
import pytest_asyncio

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.support.stack import API_KEY, running_stack

CLIENT = SandboxClient("acme", "secret")
ANN = {"id": "ann", "email": "ann@example.com", "name": "Ann"}
BOB = {"id": "bob", "email": "bob@example.com", "name": "Bob"}
FOREIGN_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo5OTl9.c2lnbmF0dXJlc2lnbmF0dXJl"
BROKEN = {"data": b"{", "headers": {"Content-Type": "application/json"}}
PLAIN_TEXT = {"data": b"{}", "headers": {"Content-Type": "text/plain"}}
FOREIGN = {"json": {"refused": FOREIGN_TOKEN}}

BAD_INPUT = {
    "a missing field": ("POST", "/v1/users", {"json": {"id": "bob"}}, 422, "invalid"),
    "a wrong time zone": ("POST", "/v1/users", {"json": BOB | {"timeZone": "Mars/Base"}}, 422, "invalid"),
    "a wrong e-mail": ("POST", "/v1/users", {"json": BOB | {"email": "bob"}}, 422, "invalid"),
    "a wrong type": ("POST", "/v1/users", {"json": BOB | {"timeFormat": "12"}}, 422, "invalid"),
    "an unknown field": ("POST", "/v1/users", {"json": BOB | {"admin": True}}, 422, "invalid"),
    "the id of another": ("POST", "/v1/users", {"json": ANN | {"email": "b@example.com"}}, 409, "conflict"),
    "the e-mail of another": ("POST", "/v1/users", {"json": ANN | {"id": "bob"}}, 409, "conflict"),
    "no JSON": ("POST", "/v1/users", BROKEN, 400, None),
    "a wrong content type": ("POST", "/v1/users", PLAIN_TEXT, 415, None),
    "a huge body": ("POST", "/v1/users", {"json": BOB | {"bio": "x" * 100_000}}, 413, None),
    "a foreign token": (
        "PUT", "/v1/users/bob/tokens",
        {"json": {"calUserId": 1, "accessToken": FOREIGN_TOKEN, "refreshToken": "x" * 30}}, 422, "invalid",
    ),
    "a foreign complaint": ("POST", "/v1/users/ann/refresh", FOREIGN, 422, "invalid"),
    "an unknown user": ("GET", "/v1/users/nobody/token", {}, 404, "user_unknown"),
    "an unknown user to change": ("PATCH", "/v1/users/nobody", {"json": {"name": "N"}}, 404, "user_unknown"),
    "an unknown user to revoke": ("POST", "/v1/users/nobody/revoke", {}, 404, "user_unknown"),
    "an unknown client": ("GET", "/v1/users/ann?client=other", {}, 422, "invalid"),
    "too long a life": ("GET", "/v1/users/ann/token?min_ttl=3000", {}, 422, "min_ttl_too_long"),
    "a life that is none": ("GET", "/v1/users/ann/token?min_ttl=soon", {}, 422, "invalid"),
    "a pair onto a live grant": (
        "PUT", "/v1/users/ann/tokens", {"own_pair": True}, 409, "grant_live",
    ),
}  # fmt: skip


@pytest_asyncio.fixture
async def stack(database_url, redis_url):
    """The whole broker with one user."""
    config = SandboxConfig(clients=(CLIENT,), throttle=False)
    async with running_stack(database_url, redis_url, config) as stack:
        await stack.create_user(CLIENT.id, "ann")
        yield stack


async def send(stack, method, path, request):
    if request.get("own_pair"):
        user = await stack.call("GET", "/v1/users/ann", CLIENT.id)
        token = (await stack.token(CLIENT.id, "ann"))["accessToken"]
        pair = {"calUserId": user["calUserId"], "accessToken": token, "refreshToken": "x" * 30}
        request = {"json": pair}
    headers = {"Authorization": f"Bearer {API_KEY}"} | request.get("headers", {})
    async with stack.http.request(
        method, stack.internal_url + path, **request | {"headers": headers}
    ) as answer:
        return answer.status, await answer.json()


@pytest.mark.timeout(60)
async def test_bad_input_is_a_clear_problem_and_nothing_is_sent_or_lost(stack, subtests):
    before = (await stack.token(CLIENT.id, "ann"))["accessToken"]
    calls = len(stack.sandbox.journal)
    for what, (method, path, request, status, code) in BAD_INPUT.items():
        with subtests.test(what):
            got, problem = await send(stack, method, path, request)

            assert (got, problem["status"]) == (status, status)
            assert code in (None, problem["code"])
            assert len(problem["detail"]) > 10
            assert len(stack.sandbox.journal) == calls
    assert (await stack.token(CLIENT.id, "ann"))["accessToken"] == before


async def test_every_wrong_field_is_named_at_once(stack):
    body = {"id": "b b", "email": "nobody", "timeZone": "Mars/Base", "weekStart": "monday", "timeFormat": 13}

    _, problem = await send(stack, "POST", "/v1/users", {"json": body})

    assert {error["field"] for error in problem["errors"]} == {*body, "name"}
