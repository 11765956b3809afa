"""The Authorization header: what is a token, what is none, and what is refused as irregular."""

import pytest
from multidict import CIMultiDict

from service.api.bearer import may_be_token, parse_bearer
from service.api.errors import BearerMalformed, BearerMissing

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"


def presented(*values, query=""):
    return parse_bearer(CIMultiDict([("Authorization", value) for value in values]), query)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "])
def test_the_scheme_is_read_in_any_case_with_any_number_of_spaces(scheme):
    assert presented(scheme + TOKEN) == TOKEN


@pytest.mark.parametrize("token", ["x", "nope", "%65yJhbGciOiJIUzI1NiJ9", "a" * 4096, TOKEN + "=="])
def test_a_well_formed_token_is_returned_as_it_stands(token):
    assert presented(f"Bearer {token}") == token


def test_no_header_is_another_thing_than_a_bad_one():
    with pytest.raises(BearerMissing):
        presented()


@pytest.mark.parametrize(
    "value",
    [
        "", "Bearer", "Bearer ", f"Bearer\t{TOKEN}", f"Bearer {TOKEN} {TOKEN}", f"Bearer {TOKEN},x",
        f"Basic {TOKEN}", f"Digest {TOKEN}", f"Token {TOKEN}", TOKEN, f" Bearer {TOKEN}", f"Bearer {TOKEN} ",
        f"Bearer {TOKEN}\n", f"Bearer {TOKEN}\x00", "Bearer żółć", "Bearer \udcff\udcfe",
        "Bearer " + "a" * 4097, f"BearerX {TOKEN}", f"Bearer={TOKEN}", f'Bearer "{TOKEN}"',
    ],
)  # fmt: skip
def test_an_irregular_header_is_malformed(value):
    with pytest.raises(BearerMalformed):
        presented(value)


@pytest.mark.parametrize("second", [f"Bearer {TOKEN}", "Bearer another-token-of-someone", ""])
def test_a_repeated_header_is_malformed_even_when_both_agree(second):
    with pytest.raises(BearerMalformed):
        presented(f"Bearer {TOKEN}", second)


@pytest.mark.parametrize(
    "query", [f"access_token={TOKEN}", "access_token=", "a=1&access_token", "%61ccess_token=x"]
)
def test_a_token_in_the_query_is_malformed_with_and_without_a_header(query):
    for headers in ([f"Bearer {TOKEN}"], []):
        with pytest.raises(BearerMalformed):
            presented(*headers, query=query)


def test_other_parameters_are_ignored():
    assert presented(f"Bearer {TOKEN}", query="cb=alert&access_tokens=1") == TOKEN


@pytest.mark.parametrize(
    ("token", "could_be"),
    [
        (TOKEN, True),
        ("a" * 20, True),
        ("a" * 19, False),
        ("%65yJhbGciOiJIUzI1NiJ9", False),
    ],
)
def test_only_what_could_be_a_token_is_worth_a_look_up(token, could_be):
    assert may_be_token(token) is could_be
