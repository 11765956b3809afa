"""Who may do what on the internal listener, and which path, query and body are taken at all."""

import pytest

from service.api.doors import ClientDoor
from service.broker.model import UserKey
from tests.support.doors import ALL_BUT_ADMIN, api_key, open_house

TWO = [ClientDoor("acme", email_suffix=26), ClientDoor("beta")]
NEW = {"id": "u-1", "email": "ann@example.com", "name": "Ann"}
PAIR = {"calUserId": 7, "accessToken": "t" * 40, "refreshToken": "t" * 40}

CALLS = [
    ("POST", "/v1/users", NEW, "users:write"),
    ("GET", "/v1/users", None, "users:read"),
    ("GET", "/v1/users/u-1", None, "users:read"),
    ("PATCH", "/v1/users/u-1", {"bio": "x"}, "users:write"),
    ("DELETE", "/v1/users/u-1", None, "users:write"),
    ("PUT", "/v1/users/u-1/tokens", PAIR, "users:write"),
    ("GET", "/v1/users/u-1/token", None, "tokens:read"),
    ("POST", "/v1/users/u-1/refresh", {}, "tokens:read"),
    ("POST", "/v1/users/u-1/revoke", None, "users:write"),
    ("POST", "/v1/users/u-1/pause", None, "users:write"),
    ("POST", "/v1/users/u-1/resume", None, "users:write"),
    ("GET", "/v1/users/u-1/events", None, "users:read"),
]


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


async def code_of(house, method, path, **request):
    async with house.call(method, path, **request) as response:
        body = await response.json() if await response.read() else {}
        return response.status, body.get("code")


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
async def test_each_call_needs_exactly_its_scope(method, path, body, scope):
    keys = [api_key("with", scope), api_key("without", *({*ALL_BUT_ADMIN} - {scope}))]
    request = {} if body is None else {"json": body}
    async with open_house(api_keys=lambda: keys) as house:
        allowed, _ = await code_of(house, method, path, key="with-key", **request)
        refused = await code_of(house, method, path, key="without-key", **request)

    assert allowed < 300
    assert refused == (403, "scope_missing")


async def test_forcing_needs_the_right_to_write():
    keys = [api_key("reader", "tokens:read")]
    async with open_house(api_keys=lambda: keys) as house:
        refused = await code_of(
            house, "POST", "/v1/users/u-1/refresh", key="reader-key", json={"force": True}
        )

    assert refused == (403, "scope_missing")
    assert house.answers.calls == []


@pytest.mark.parametrize(
    "header", ["Bearer wrong-key", "Bearer ", "Basic eDp5", "Bearer żółć", "Bearer \udcff"]
)
async def test_a_key_that_is_not_known_is_refused(house, header):
    headers = {"Authorization": header.encode("utf-8", "replace").decode("latin-1")}

    async with house.session.get(house.url("internal", "/v1/users"), headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (401, "key_unknown")
        assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_no_key_is_a_challenge_without_an_error(house):
    async with house.session.get(house.url("internal", "/v1/users")) as response:
        assert (response.status, (await response.json())["code"]) == (401, "key_unknown")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_keys_may_change_while_serving():
    keys = [api_key("old", "users:read")]
    async with open_house(api_keys=lambda: keys) as house:
        before = await code_of(house, "GET", "/v1/users", key="new-key")
        keys[:] = [api_key("new", "users:read")]
        after = await code_of(house, "GET", "/v1/users", key="new-key")

    assert (before, after) == ((401, "key_unknown"), (200, None))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (422, "invalid")),
        ("?client=", (422, "invalid")),
        ("?client=acme", (200, None)),
        ("?client=beta", (200, None)),
        ("?client=gamma", (422, "invalid")),
        ("?client=acme&client=beta", (422, "invalid")),
    ],
)
async def test_with_several_clients_one_is_chosen(query, expected):
    async with open_house(clients=TWO) as house:
        assert await code_of(house, "GET", f"/v1/users/u-1{query}") == expected


async def test_a_key_for_one_client_sees_no_other():
    keys = [api_key("app", *ALL_BUT_ADMIN, clients={"beta"})]
    async with open_house(clients=TWO, api_keys=lambda: keys) as house:
        own = await code_of(house, "GET", "/v1/users/u-1")
        foreign = await code_of(house, "GET", "/v1/users/u-1?client=acme")

    assert (own, foreign) == ((200, None), (404, "user_unknown"))
    assert house.users.calls == [("read", UserKey("beta", "u-1"))]


@pytest.mark.parametrize(
    ("segment", "user_id"),
    [("u-1", "u-1"), ("auth0%7C5f7c", "auth0|5f7c"), ("a%2Bb+c", "a+b+c"), ("-1", "-1"),
     ("a%40b.c:d=e~f_g", "a@b.c:d=e~f_g"), ("00012", "00012"), ("z" * 128, "z" * 128)],
)  # fmt: skip
async def test_an_id_is_taken_from_the_path_as_it_was_sent(house, segment, user_id):
    await code_of(house, "GET", f"/v1/users/{segment}")

    assert house.users.calls == [("read", UserKey("acme", user_id))]


@pytest.mark.parametrize(
    "segment",
    ["%2e%2e", "%2E", ".", "..", "..%2frefresh", "1%2F2", "%00", "%0d%0aX:1", "%ff%fe", "%zz", "%", "",
     "a%20b", "%C2%B2", "%252F", "1;DROP%20TABLE", "1'%20OR%20'1'='1", "$1", "a*b", "{id}", "z" * 129,
     "z" * 4000],
)  # fmt: skip
async def test_what_cannot_be_an_id_is_no_user(house, segment):
    status, code = await code_of(house, "GET", f"/v1/users/{segment}/events")

    assert status == 404
    assert code in {"user_unknown", "not_found"}
    assert house.users.calls == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=-1", "limit=+1", "limit=1_0", "limit=%201", "limit=1e1",
        "limit=0x1", "limit=", "limit=1.0", "limit=%C2%B2", "limit=9999999999", "limit=99999999999",
        "limit=1&limit=2", "state=live",
        "state=", "calUserId=0", "calUserId=2147483648", "calUserId=01", "calUserId=x",
        "email=x", "email=%00", "cursor=..", "cursor=%ff", "sort=name", "cursor=a%0d%0a", "%ff=1", "=",
    ],
)  # fmt: skip
async def test_a_parameter_that_does_not_fit_is_named_not_guessed(house, query):
    assert await code_of(house, "GET", f"/v1/users?{query}") == (422, "invalid")
    assert house.users.calls == []


@pytest.mark.parametrize("value", ["-1", "1e3", "nan", "inf", "9" * 7, "604801", "", "1,5", "٣"])
async def test_a_life_that_is_no_number_of_seconds_is_invalid(house, value):
    assert (await code_of(house, "GET", f"/v1/users/u-1/token?min_ttl={value}"))[0] in {400, 422}
    assert house.answers.calls == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201), ("application/json; charset=utf-8", 201),
        ('application/json; charset="UTF-8"', 201), ("application/json; charset=bogus", 415),
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)  # fmt: skip
async def test_only_json_in_utf_8_is_read(house, content_type, status):
    body = b'{"id":"u-1","email":"ann@example.com","name":"Ann"}'
    headers = {"Content-Type": content_type}

    assert (await code_of(house, "POST", "/v1/users", data=body, headers=headers))[0] == status


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"id":1,"id":1}', b"\xff\xfe", b"NaN"])
async def test_a_body_that_is_no_json_object_is_malformed(house, body):
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}

    answered = await code_of(house, "POST", "/v1/users", data=body, headers=headers)

    assert answered == (400, "malformed")


async def test_every_wrong_field_is_named_in_the_answer(house):
    async with house.call("POST", "/v1/users", json={"email": "x", "color": 1}) as response:
        body = await response.json()

    assert {wrong["field"] for wrong in body["errors"]} == {"id", "name", "email", "color"}


async def test_the_room_for_an_address_depends_on_the_client():
    long = {**NEW, "email": "l" * 40 + "@example.com"}
    async with open_house(clients=TWO) as house:
        tight = await code_of(house, "POST", "/v1/users?client=acme", json=long)
        wide = await code_of(house, "POST", "/v1/users?client=beta", json=long)

    assert (tight, wide) == ((422, "invalid"), (201, None))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/v1/users"),
        ("PUT", "/v1/users/u-1"),
        ("GET", "/v1/users/u-1/revoke"),
        ("OPTIONS", "/v1/users"),
    ],
)
async def test_a_method_that_is_not_declared_is_refused(house, method, path):
    async with house.call(method, path) as response:
        assert response.status == 405


@pytest.mark.parametrize(
    "path", ["/refresh", "/keep-fresh.js", "/metrics", "/readyz", "/v1", "/v1/users/u-1/other"]
)
async def test_the_internal_listener_answers_for_no_other(house, path):
    assert await code_of(house, "GET", path) == (404, "not_found")


async def test_no_page_of_another_origin_can_read_what_services_may(house):
    async with house.call("GET", "/v1/users", headers={"Origin": "https://app.example.com"}) as response:
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
