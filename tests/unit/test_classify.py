"""What every documented answer of Cal.com Platform means, row by row."""

import pytest

from service.adapters.upstream.classify import READS, Call, judge
from service.adapters.upstream.exchange import Answer, Lost, NotSent
from service.broker.model import Denial, Denied, Unavailable, Unknown

OF_ONE_USER = {Call.RECOVER, Call.READ, Call.CHANGE, Call.DELETE}
OF_A_PROFILE = {Call.CREATE, Call.CHANGE}
ALL = set(Call)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"


def refused(status: int, code: str, message: object, **error: object) -> Answer:
    """Build Cal.com's envelope around one error."""
    return Answer(
        status,
        {
            "status": "error",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "path": "/v2/somewhere",
            "error": {"code": code, "message": message, **error},
        },
    )


def meaning(call: Call, exchange: object) -> object:
    return judge(call, exchange, lambda body: "used" if body.get("status") == "success" else None)


UNAUTHORIZED, BAD, FORBIDDEN = "UnauthorizedException", "BadRequestException", "ForbiddenException"
OAUTH = "ApiAuthStrategy - oAuth client - "

ROWS = [
    (401, UNAUTHORIZED, OAUTH + "Invalid client secret", ALL, Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, OAUTH + "Client with ID cl1 not found", ALL, Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, OAUTH + "No owner ID found for this OAuth client", ALL, Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, OAUTH + "No user associated with the provided OAuth client", ALL,
     Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, "ApiAuthStrategy - Only 'x-cal-client-id' header provided. Please also provide "
     "'x-cal-secret-key' header or Auth bearer token as 'Authentication' header", ALL, Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, "ApiAuthStrategy - No authentication method provided. Either pass an API key as "
     "'Bearer' header or OAuth client credentials as 'x-cal-secret-key' and 'x-cal-client-id' headers",
     ALL, Denial.CLIENT_FAULT),
    (400, BAD, "Invalid refresh token", {Call.REFRESH}, Denial.REFRESH_TOKEN_DEAD),
    (404, "NOT_FOUND", "Invalid Query: The requested record was not found.", {Call.REFRESH},
     Denial.REFRESH_TOKEN_DEAD),
    (400, BAD, "Invalid OAuthClient credentials.", ALL, Denial.CLIENT_FAULT),
    (498, "TokenExpiredException", "ACCESS_TOKEN_IS_EXPIRED", {Call.CHECK}, Denial.TOKEN_REFUSED),
    (401, UNAUTHORIZED, "Invalid Access Token.", {Call.CHECK}, Denial.TOKEN_REFUSED),
    (401, UNAUTHORIZED, "ApiAuthStrategy - access token - OAuth client not found given the access token",
     {Call.CHECK}, Denial.TOKEN_REFUSED),
    (401, UNAUTHORIZED, "ApiAuthStrategy - access token - Invalid request origin - please open "
     "https://app.cal.com/settings/platform and add the origin 'https://x' to the 'Redirect uris' of your "
     "OAuth client with ID 'cl1'", ALL, Denial.CLIENT_FAULT),
    (409, "ConflictException", "User with the provided e-mail already exists. Existing user ID=7",
     OF_A_PROFILE, Denial.EXISTS),
    (409, "CONFLICT", "Invalid Input: Trying to create a record that already exists.", OF_A_PROFILE,
     Denial.EXISTS),
    (404, "NotFoundException", "User with ID 7 is not part of this OAuth client.", OF_ONE_USER,
     Denial.USER_GONE),
    (400, BAD, "You cannot create a managed user outside of an organization - the OAuth client does not "
     "belong to any organization.", ALL, Denial.CLIENT_FAULT),
    (403, FORBIDDEN, "OrganizationRolesGuard - Organization is not a platform (SHP).", ALL,
     Denial.CLIENT_FAULT),
    (403, FORBIDDEN, "OrganizationRolesGuard - No organization found", ALL, Denial.CLIENT_FAULT),
    (403, FORBIDDEN, "OAuthClientGuard - not yours", ALL, Denial.CLIENT_FAULT),
    (404, "NotFoundException", "OAuthClientGuard - OAuth client not found.", ALL, Denial.CLIENT_FAULT),
    (403, FORBIDDEN, "PermissionsGuard - oAuth client with id=cl1 does not have the required permissions=1",
     ALL, Denial.CLIENT_FAULT),
    (400, BAD, "Invalid email invalid-email", {Call.FIND}, Denial.INVALID),
    (400, BAD, "emails cannot be empty.", {Call.FIND}, Denial.INVALID),
    (404, "NotFoundException", "Cannot POST /v2/oauth/cl1/refresh", ALL, Denial.CLIENT_FAULT),
    (404, "NotFoundException", "Cannot GET /v2/provider/cl1/access-token", ALL, Denial.CLIENT_FAULT),
    (401, UNAUTHORIZED, "CustomThrottlerGuard - Invalid API Key", ALL, Denial.CLIENT_FAULT),
]  # fmt: skip
EVERY = [(row, call) for row in ROWS for call in Call]
SAID = [f"{row[0]}-{row[2][:40]}-{call}" for row, call in EVERY]


@pytest.mark.parametrize(("row", "call"), EVERY, ids=SAID)
def test_each_row_means_its_denial_for_its_calls_and_is_unknown_to_the_others(row, call):
    status, code, message, calls, denial = row
    outcome = meaning(call, refused(status, code, message))
    if call in calls:
        assert isinstance(outcome, Denied)
        assert outcome.code is denial
    else:
        assert outcome == Unknown(f"status {status}, not recognized")


@pytest.mark.parametrize(("row", "call"), EVERY, ids=SAID)
def test_a_message_alone_under_another_status_or_code_settles_nothing(row, call):
    _, code, message, _, _ = row
    assert isinstance(meaning(call, refused(418, code, message)), Unknown)
    if not message.startswith("Cannot") and row[0] != 498:  # routes and 498 are known without their code
        assert isinstance(meaning(call, refused(row[0], "SomethingElse", message)), Unknown)


@pytest.mark.parametrize(("row", "call"), EVERY, ids=SAID)
def test_an_outcome_never_repeats_upstreams_message(row, call):
    outcome = meaning(call, refused(row[0], row[1], row[2] + TOKEN, details={"message": TOKEN}))
    assert TOKEN not in repr(outcome)
    assert "cl1" not in repr(outcome)


@pytest.mark.parametrize("call", Call)
def test_a_bare_framework_answer_is_read_like_the_envelope(call):
    bare = Answer(404, {"statusCode": 404, "message": "Cannot POST /v2/x", "error": "Not Found"})
    assert meaning(call, bare) == Denied(Denial.CLIENT_FAULT, "upstream has no such route: check the API URL")


@pytest.mark.parametrize("call", sorted(OF_A_PROFILE))
@pytest.mark.parametrize(
    ("message", "stated"),
    [
        ("User with the provided e-mail already exists. Existing user ID=1234", "1234"),
        ("User with the provided e-mail already exists.", ""),
        ("User with the provided e-mail already exists. Existing user ID=", ""),
        ("User with the provided e-mail already exists. Existing user ID=-1", ""),
        ("User with the provided e-mail already exists. Existing user ID=" + "9" * 40, ""),
        ("User with the provided e-mail already exists. Existing user ID=\u0661\u0662", ""),
    ],
)
def test_an_existing_user_is_named_when_upstream_names_it(call, message, stated):
    assert meaning(call, refused(409, "ConflictException", message)) == Denied(Denial.EXISTS, stated)


def invalid(*properties: object) -> Answer:
    errors = [
        {"property": name, "value": TOKEN, "target": {"refreshToken": TOKEN}, "constraints": {"is": "bad"}}
        for name in properties
    ]
    return refused(400, BAD, "Bad Request Exception", details={"errors": errors})


@pytest.mark.parametrize("call", sorted(OF_A_PROFILE))
def test_an_invalid_profile_is_told_by_the_names_of_its_fields_alone(call):
    outcome = meaning(call, invalid("timeZone", "email", TOKEN, "refreshToken", 5, None, ["x"]))
    assert outcome == Denied(Denial.INVALID, "email,timeZone")


@pytest.mark.parametrize("call", sorted(ALL - OF_A_PROFILE))
def test_an_invalid_request_of_our_own_making_is_a_fault_of_the_client(call):
    outcome = meaning(call, invalid("refreshToken"))
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.CLIENT_FAULT
    assert TOKEN not in repr(outcome)


@pytest.mark.parametrize("errors", [None, "text", 5, {}, {"property": "email"}])
@pytest.mark.parametrize("call", Call)
def test_validation_without_a_list_of_errors_is_not_recognized(call, errors):
    answer = refused(400, BAD, "Bad Request Exception", details={"errors": errors})
    assert isinstance(meaning(call, answer), Unknown)


# --- 429 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", Call)
@pytest.mark.parametrize("body", [{"status": "error"}, None, "<html>", []])
def test_too_many_requests_did_nothing_whatever_its_body(call, body):
    outcome = meaning(call, Answer(429, body, {"x-ratelimit-reset-default": "42"}))
    assert outcome == Unavailable("upstream says too many requests", 42.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-reset-default": "0"}, 1.0),
        ({"x-ratelimit-reset-default": "60"}, 60.0),
        ({"x-ratelimit-reset-default": "999999999"}, 300.0),
        ({"x-ratelimit-reset-default": "9" * 400}, None),
        ({"x-ratelimit-reset-default": "-5"}, None),
        ({"x-ratelimit-reset-default": "1e400"}, None),
        ({"x-ratelimit-reset-default": "nan"}, None),
        ({"x-ratelimit-reset-default": "\u0665"}, None),
        ({"x-ratelimit-reset-default": ""}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"x-ratelimit-reset-default": "soon", "retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset-default": "5", "retry-after": "7"}, 5.0),
    ],
)
def test_when_to_come_back_is_believed_within_bounds(headers, seconds):
    outcome = meaning(Call.REFRESH, Answer(429, {}, headers))
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after_s == seconds


# --- No answer, or none of Cal.com's own --------------------------------------------------------------


@pytest.mark.parametrize("call", Call)
def test_what_was_not_sent_did_nothing(call):
    assert meaning(call, NotSent("TimeoutError")) == Unavailable("not sent: TimeoutError")


SETTLES_NOTHING = [
    Lost("TimeoutError"),
    refused(500, "INTERNAL_SERVER_ERROR", "There was an error, please try again later."),
    Answer(500, {"statusCode": 500, "message": "Internal server error"}),
    *[Answer(status, None) for status in (200, 201, 204, 400, 401, 403, 404, 408, 409, 498, 500, 502, 504)],
    *[refused(status, BAD, "Invalid refresh token") for status in (301, 302, 307, 308, 408, 500, 502, 503)],
    *[Answer(status, {"status": "success"}) for status in (100, 302, 304, 500, 503, 600, 999)],
]


@pytest.mark.parametrize("exchange", SETTLES_NOTHING, ids=lambda exchange: repr(exchange)[:40])
@pytest.mark.parametrize("call", sorted(READS))
def test_a_read_without_a_definitive_answer_is_unavailable(call, exchange):
    assert isinstance(meaning(call, exchange), Unavailable)


@pytest.mark.parametrize("exchange", SETTLES_NOTHING, ids=lambda exchange: repr(exchange)[:40])
@pytest.mark.parametrize("call", sorted(ALL - READS))
def test_a_change_without_a_definitive_answer_is_unknown(call, exchange):
    assert isinstance(meaning(call, exchange), Unknown)


@pytest.mark.parametrize("call", Call)
@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_success_is_what_its_decoder_makes_of_it(call, status):
    assert meaning(call, Answer(status, {"status": "success"})) == "used"


@pytest.mark.parametrize("call", Call)
def test_a_success_without_what_was_asked_for_is_unknown(call):
    assert meaning(call, Answer(200, {"status": "error"})) == Unknown(
        "status 200, without what was asked for"
    )
