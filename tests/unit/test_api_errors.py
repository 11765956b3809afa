"""Errors become problem details: one status a code, and what a client needs to go on."""

import orjson
import pytest

from service.api import errors as door
from service.api.errors import STATUS, problem
from service.broker import errors as broker
from service.broker.errors import BrokerError, Invalid, TokenUnknown, UpstreamUnavailable


def all_errors(base=BrokerError):
    for kind in base.__subclasses__():
        yield kind
        yield from all_errors(kind)


def body_of(answer):
    return orjson.loads(answer.body)


@pytest.mark.parametrize("kind", sorted({kind.code for kind in all_errors()}))
def test_every_error_there_is_has_a_status(kind):
    assert STATUS[kind] >= 400


def test_the_table_names_no_error_that_does_not_exist():
    defined = vars(broker).values(), vars(door).values()
    codes = {
        kind.code for module in defined for kind in module if isinstance(kind, type) and hasattr(kind, "code")
    }

    assert set(STATUS) <= codes


def test_a_problem_says_what_happened_in_one_form():
    answer = problem(TokenUnknown(), empty_token=False)

    assert (answer.status, answer.content_type) == (401, "application/problem+json")
    assert body_of(answer) == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": TokenUnknown.__doc__,
        "code": "token_unknown",
    }


def test_the_browser_library_finds_an_empty_token_in_every_problem():
    assert body_of(problem(TokenUnknown(), empty_token=True))["accessToken"] == ""


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (door.BearerMissing(), b"WWW-Authenticate: Bearer\r\n"),
        (door.KeyMissing(), b"WWW-Authenticate: Bearer\r\n"),
        (door.BearerMalformed(), b'WWW-Authenticate: Bearer error="invalid_request"\r\n'),
        (TokenUnknown(), b'WWW-Authenticate: Bearer error="invalid_token"\r\n'),
        (door.KeyUnknown(), b'WWW-Authenticate: Bearer error="invalid_token"\r\n'),
        (door.ScopeMissing(), b'WWW-Authenticate: Bearer error="insufficient_scope"\r\n'),
        (door.OriginRefused(), b""),
    ],
)
def test_the_challenge_follows_rfc_6750(error, challenge):
    assert problem(error, empty_token=True).headers == challenge


@pytest.mark.parametrize(("seconds", "said"), [(0.0, b"1"), (1.0, b"1"), (15.2, b"16"), (None, b"15")])
def test_retry_after_is_whole_seconds_rounded_up(seconds, said):
    answer = problem(UpstreamUnavailable(retry_after_s=seconds), empty_token=False)

    assert answer.headers == b"Retry-After: " + said + b"\r\n"


def test_every_wrong_field_is_named():
    answer = problem(Invalid(fields={"email": "is required", "name": "is required"}), empty_token=False)

    assert answer.status == 422
    assert [wrong["field"] for wrong in body_of(answer)["errors"]] == ["email", "name"]


def test_a_refused_method_names_those_that_are_answered():
    assert (
        problem(door.MethodRefused("GET, OPTIONS"), empty_token=False).headers == b"Allow: GET, OPTIONS\r\n"
    )


def test_an_error_outside_the_table_is_an_internal_one():
    assert problem(BrokerError(), empty_token=False).status == 500
