"""The public listener as a browser meets it."""

import asyncio
from ipaddress import ip_network

import pytest

from service.broker.errors import (
    GrantDead,
    GrantPaused,
    RefreshInProgress,
    StorageUnavailable,
    TokenUnknown,
    TooManyRequests,
    UpstreamUnavailable,
    UserUnknown,
)
from tests.support.doors import CURRENT, HELD, KEY, NOW, ORIGIN, SECRET, AnswersScript, open_house


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


async def test_a_held_token_is_exchanged_for_one_that_works(house):
    async with house.refresh() as response:
        body = await response.json()

    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert body == {"accessToken": CURRENT, "accessTokenExpiresAt": int(NOW.timestamp() * 1000) + 3_600_000}


async def test_every_answer_carries_the_headers_that_keep_tokens_in_place(house):
    for path, token in [("/refresh", HELD), ("/refresh", "nope"), ("/nowhere", HELD), ("/healthz", HELD)]:
        async with house.refresh(token, path) as response:
            headers = response.headers

        assert headers["Cache-Control"] == "no-store"
        assert headers["Pragma"] == "no-cache"
        assert headers["Vary"] == "Origin, Authorization"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-site"
        assert "Server" not in headers


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", -0xC0000207),
        ("2001:db8:0:1::7", 0x20010DB800000001),
        ("2001:db8:0:1:a:b:c:d", 0x20010DB800000001),
    ],
)
async def test_the_broker_is_told_where_a_browser_is_as_it_counts_addresses(address, counted):
    async with open_house(trusted_proxies=[ip_network("127.0.0.0/8")]) as house:
        await house.refresh(X_Forwarded_For=address)
    assert house.answers.addresses == [counted]


@pytest.mark.parametrize(
    ("headers", "status", "code", "challenge"),
    [
        ({}, 401, "bearer_missing", "Bearer"),
        ({"Authorization": "Basic eHg6eXk="}, 400, "bearer_malformed", 'Bearer error="invalid_request"'),
        ({"Authorization": "Bearer"}, 400, "bearer_malformed", 'Bearer error="invalid_request"'),
        (
            {"Authorization": "Bearer " + "a" * 4097},
            400,
            "bearer_malformed",
            'Bearer error="invalid_request"',
        ),
        ({"Authorization": "Bearer nope"}, 401, "token_unknown", 'Bearer error="invalid_token"'),
        ({"Authorization": "Bearer " + "u" * 300}, 401, "token_unknown", 'Bearer error="invalid_token"'),
    ],
)
async def test_a_refusal_names_its_code_and_its_challenge(house, headers, status, code, challenge):
    async with house.session.get(house.url("public", "/refresh"), headers=headers) as response:
        body = await response.json()

    assert (response.status, body["code"], body["accessToken"]) == (status, code, "")
    assert response.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (TooManyRequests(retry_after_s=9.2), 429, "too_many_requests", "10"),
        (UpstreamUnavailable(retry_after_s=31), 503, "upstream_unavailable", "31"),
        (StorageUnavailable(), 503, "storage_unavailable", "15"),
        (RefreshInProgress(retry_after_s=1), 503, "refresh_in_progress", "1"),
    ],
)
async def test_what_passes_says_when_to_ask_again(error, status, code, retry_after):
    async with open_house(answers=AnswersScript(for_browser=error)) as house, house.refresh() as response:
        body = await response.json()

    assert (response.status, body["code"], body["accessToken"]) == (status, code, "")
    assert response.headers["Retry-After"] == retry_after


async def test_all_tokens_that_identify_nobody_get_the_same_answer():
    answers = AnswersScript()
    bodies = set()
    async with open_house(answers=answers) as house:
        for error in (TokenUnknown(), UserUnknown(), GrantDead(), GrantPaused()):
            answers.results["for_browser"] = error
            async with house.refresh() as response:
                bodies.add((response.status, await response.text(), response.headers["WWW-Authenticate"]))

    assert len(bodies) == 1


async def test_a_token_beside_the_header_is_refused_without_a_look_up(house):
    async with house.refresh(path=f"/refresh?access_token={HELD}") as in_query:
        pass
    url, headers = house.url("public", "/refresh"), {"Authorization": f"Bearer {HELD}"}
    async with house.session.get(url, headers=headers, data={"access_token": HELD}) as in_body:
        pass
    async with house.session.get(url, data={"access_token": HELD}) as in_body_alone:
        pass

    assert (in_query.status, in_body.status, in_body_alone.status) == (400, 400, 400)
    assert house.answers.calls == []


async def test_other_parameters_change_nothing(house):
    async with house.refresh(path="/refresh?callback=alert") as response:
        assert (await response.json())["accessToken"] == CURRENT


async def test_a_caller_whose_patience_ends_is_told_that_it_goes_on():
    answers = AnswersScript(for_browser=asyncio.Event())
    async with (
        open_house(answers=answers, public_answer_timeout_s=0.05) as house,
        house.refresh() as response,
    ):
        assert (response.status, (await response.json())["code"]) == (503, "refresh_in_progress")


async def test_a_time_out_inside_a_use_case_is_no_end_of_patience():
    async with (
        open_house(answers=AnswersScript(for_browser=TimeoutError())) as house,
        house.refresh() as response,
    ):
        assert response.status == 500


async def test_an_unexpected_error_is_answered_without_a_word_of_it():
    answers = AnswersScript(for_browser=RuntimeError(f"row of {SECRET}"))
    async with open_house(answers=answers) as house, house.refresh() as response:
        body = await response.json()

    assert (response.status, body["code"], body["accessToken"]) == (500, "internal", "")
    (failure,) = house.notes.of("request.failed")
    assert failure["error"] == "RuntimeError"
    assert "doors.py:" in failure["at"]
    assert SECRET not in str(house.notes.heard) + str(body)


@pytest.mark.parametrize(
    "path",
    ["/", "/refresh/", "/refresh.css", "/refresh/x.js", "/refresh;x.css", "/refresh%2f..%2fx.png",
     "//refresh", "/%72efresh", "/v1/users", "/metrics", "/readyz", "/openapi.json", "/docs"],
)  # fmt: skip
async def test_there_is_nothing_else_on_the_public_listener(house, path):
    async with house.refresh(path=path) as response:
        assert (response.status, (await response.json())["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_refresh_answers_to_get_alone(house, method):
    async with house.session.request(method, house.url("public", "/refresh")) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, OPTIONS")


async def test_the_request_id_comes_back_when_it_is_harmless(house):
    for given, echoed in [("abc-1.2_3", True), ("x" * 65, False), ("${jndi:x}", False), ("a b", False)]:
        async with house.refresh(X_Request_Id=given) as response:
            assert (response.headers["X-Request-Id"] == given) is echoed


async def test_one_event_tells_of_every_request():
    seen = []
    async with open_house(enter_request=seen.append) as house, house.refresh(X_Request_Id="r-1"):
        pass

    (done,) = house.notes.of("request.done")
    assert (done["key"], done["route"], done["status"], done["request_id"]) == (KEY, "/refresh", 200, "r-1")
    assert done["seconds"] > 0
    assert seen == ["r-1"]


async def test_no_event_names_the_path_a_stranger_made_up(house):
    async with house.refresh(path="/secret-path"):
        pass

    assert house.notes.of("request.done")[0]["route"] == "unmatched"
    assert "secret-path" not in str(house.notes.heard)


@pytest.mark.parametrize("script", ["/keep-fresh.js", "/use-fresh-token.js"])
async def test_the_browser_helpers_may_be_loaded_by_any_page(house, script):
    async with house.session.get(
        house.url("public", script), headers={"Sec-Fetch-Dest": "script"}
    ) as response:
        text = await response.text()

    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "keepFresh" in text


async def test_unknown_tokens_are_counted_by_address_and_good_ones_are_not():
    async with open_house(address_failures_per_minute=3) as house:
        statuses = []
        for token in ["u" * 40] * 4 + [HELD, "u" * 40]:
            async with house.refresh(token) as response:
                statuses.append(response.status)

    assert statuses == [401, 401, 401, 429, 200, 429]


async def test_no_limit_on_unknown_tokens_when_it_is_off():
    async with open_house(address_failures_per_minute=0) as house:
        for _ in range(30):
            async with house.refresh("u" * 40) as response:
                assert response.status == 401


async def test_a_header_too_long_for_any_token_is_refused_by_name_to_a_page_that_can_read_it(house):
    async with house.refresh("a" * 9_000, Origin=ORIGIN) as response:
        body = await response.json()

    assert (response.status, body["code"]) == (400, "bearer_malformed")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
