"""The shapes of refusals, preflights and routes that do not exist."""

import pytest

ATOMS_HEADERS = "authorization,cal-api-version,x-cal-client-id,x-cal-platform-embed,content-type"


async def test_an_error_has_upstreams_envelope_and_a_request_id(api):
    reply = await api.refresh("nonsense")

    assert set(reply.body) == {"status", "timestamp", "path", "error"}
    assert (reply.body["status"], reply.body["path"]) == ("error", "/v2/oauth/c1/refresh")
    assert reply.body["timestamp"].endswith("Z")
    assert reply.headers["X-Request-Id"]


async def test_an_errors_path_keeps_the_query(api):
    reply = await api.call("GET", f"{api.users}?limit=0")

    assert reply.body["path"] == f"{api.users}?limit=0"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v2/oauth/c1/nothing"), ("PUT", "/v2/me"), ("GET", "/v2/oauth/c1/refresh"), ("GET", "/")],
)
async def test_a_route_that_does_not_exist_is_nests_404(api, method, path):
    reply = await api.call(method, path)

    assert (reply.status, reply.code, reply.message) == (404, "NotFoundException", f"Cannot {method} {path}")


async def test_a_validation_error_echoes_the_refresh_token(api):
    reply = await api.call("POST", "/v2/oauth/c1/refresh", json={"refreshToken": 7, "other": "dropped"})

    [error] = reply.body["error"]["details"]["errors"]
    assert reply.message == "Bad Request Exception"
    assert (error["value"], error["target"]) == (7, {"refreshToken": 7})
    assert error["constraints"] == {"isString": "refreshToken must be a string"}


@pytest.mark.parametrize("body", [b"", b'{"refreshToken": "x"}'])
async def test_a_body_that_is_not_announced_as_json_is_not_read(api, body):
    reply = await api.call(
        "POST", "/v2/oauth/c1/refresh", data=body, headers={"Content-Type": "application/octet-stream"}
    )

    assert reply.body["error"]["details"]["errors"][0]["property"] == "refreshToken"


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'"text"'])
async def test_a_broken_json_body_is_refused_before_every_guard(api, body):
    headers = {"Content-Type": "application/json"}

    reply = await api.call("POST", "/v2/oauth/c1/refresh", secret="wrong", data=body, headers=headers)

    assert (reply.status, reply.code) == (400, "BadRequestException")


async def test_the_preflight_allows_what_the_browser_library_sends(api):
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ATOMS_HEADERS,
    }

    reply = await api.call("OPTIONS", "/v2/provider/c1/access-token", secret="", headers=asked)

    allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert (reply.status, reply.body) == (204, b"")
    assert set(ATOMS_HEADERS.split(",")) <= set(allowed)
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert {"GET", "PATCH", "POST"} <= set(reply.headers["Access-Control-Allow-Methods"].split(", "))
    assert reply.headers["Access-Control-Max-Age"] == "86400"


@pytest.mark.parametrize("path", ["/v2/me", "/v2/provider/c1", "/v2/nothing"])
async def test_every_answer_may_be_read_by_a_browser(api, path):
    reply = await api.call("GET", path, secret="")

    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Expose-Headers" not in reply.headers
