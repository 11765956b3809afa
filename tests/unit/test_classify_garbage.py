"""No answer that Cal.com does not document kills a token, finds a user gone, or raises."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.upstream import decode
from service.adapters.upstream.classify import Call, judge
from service.adapters.upstream.exchange import Answer
from service.adapters.upstream.wire import parse
from service.broker.model import Denied, Unavailable, Unknown

LONG = "eyJ" + "a" * 40

GARBAGE = [
    b"", b" ", b"\x00", b"\xff\xfe\xfd", b"\xef\xbb\xbf", b"\xef\xbb\xbf<html>", b"\xc3\x28",
    "{\"status\": \"success\"}".encode("utf-16"), "{}".encode("utf-32"), b"\x1f\x8b\x08\x00garbage",
    b"<!DOCTYPE html><html><title>502 Bad Gateway</title></html>", b"<?xml version='1.0'?><error/>",
    b"error code: 1020", b"OK", b"null", b"true", b"false", b"0", b"-1", b"1e400", b"NaN", b"Infinity",
    b"-Infinity", b"1" * 5_000, b'"Invalid refresh token"', b"[]", b"[[]]", b"[null]", b'[{"data": {}}]',
    b"{", b'{"status": "succ', b'{"status": "success", "data": {"accessToken": "', b"{}{}", b"{}\n{}",
    b"{'status': 'success'}", b'{"status": success}', b'{"a": 1,}', b'{"a": NaN}', b'{"a": 1e400}',
    b'{"a": ' + b"1" * 5_000 + b"}", b'{"a": "\\ud800"}', b'{"a": "\x01"}', b"[" * 20_000,
    b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b"{}",
    b'{"status": null}', b'{"status": "success"}', b'{"status": "success", "data": null}',
    b'{"status": "success", "data": []}', b'{"status": "success", "data": {}}', b'{"error": null}',
    b'{"status": "success", "data": "accessToken"}', b'{"data": {"accessToken": null}}',
    b'{"error": "Invalid refresh token"}', b'{"error": ["BadRequestException", "Invalid refresh token"]}',
    b'{"error": {"code": 400, "message": "Invalid refresh token"}}',
    b'{"error": {"code": "BadRequestException", "message": ["Invalid refresh token"]}}',
    b'{"error": {"code": ["BadRequestException"], "message": "Invalid refresh token"}}',
    b'{"error": {"code": "BadRequestException", "message": {"text": "Invalid refresh token"}}}',
    b'{"error": {"code": "BadRequestException", "message": "x", "details": "Invalid refresh token"}}',
    b'{"error": {"code": "BadRequestException", "message": "x", "details": {"errors": "text"}}}',
    b'{"error": {"error": {"code": "BadRequestException", "message": "Invalid refresh token"}}}',
    b'{"code": "NOT_FOUND", "error": {"message": "Invalid Query"}}',
    b'{"error": {"message": "User with ID 7 is not part of this OAuth client."}}',
    b'{"message": "User with ID 7 is not part of this OAuth client."}',
    b'{"message": "invalid refresh token"}', b'{"__proto__": {"status": "success"}}',
]  # fmt: skip
STATUSES = [200, 201, 400, 401, 403, 404, 409, 500, 502]


def settled(call, answer):
    return judge(call, answer, lambda body: decode.pair(body.get("data")))


@pytest.mark.parametrize("raw", GARBAGE, ids=lambda raw: repr(raw[:40]))
@pytest.mark.parametrize("call", Call)
def test_garbage_under_any_status_settles_nothing(call, raw):
    outcomes = [settled(call, Answer(status, parse(raw))) for status in STATUSES]
    assert {type(outcome) for outcome in outcomes} <= {Unknown, Unavailable}


UNUSABLE_PAIRS = [
    {}, {"accessToken": LONG}, {"refreshToken": LONG}, {"accessToken": LONG, "refreshToken": None},
    {"accessToken": None, "refreshToken": LONG}, {"accessToken": LONG, "refreshToken": LONG},
    {"accessToken": "", "refreshToken": LONG}, {"accessToken": "a" * 19, "refreshToken": LONG},
    {"accessToken": "a" * 4097, "refreshToken": LONG}, {"accessToken": LONG + "\n", "refreshToken": LONG},
    {"accessToken": LONG + "\r\nX: y", "refreshToken": LONG},
    {"accessToken": "b " * 20, "refreshToken": LONG}, {"accessToken": LONG + "\u017c", "refreshToken": LONG},
    {"accessToken": LONG + "\x00", "refreshToken": LONG}, {"accessToken": [LONG], "refreshToken": LONG},
    {"accessToken": 12345678901234567890, "refreshToken": LONG},
    {"accessToken": True, "refreshToken": LONG}, {"accessToken": {"token": LONG}, "refreshToken": LONG},
    {"access_token": LONG + "b", "refresh_token": LONG}, {"AccessToken": LONG + "b", "RefreshToken": LONG},
]  # fmt: skip


@pytest.mark.parametrize("data", UNUSABLE_PAIRS, ids=lambda data: json.dumps(data)[:60])
@pytest.mark.parametrize("call", [Call.REFRESH, Call.RECOVER])
def test_a_success_without_a_usable_pair_is_unknown(call, data):
    body = parse(json.dumps({"status": "success", "data": data}).encode())
    assert isinstance(settled(call, Answer(200, body)), Unknown)


NAMES = st.sampled_from([
    "status", "data", "error", "code", "message", "details", "errors", "property", "accessToken",
    "refreshToken", "accessTokenExpiresAt", "refreshTokenExpiresAt", "user", "id", "email", "createdDate",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([LONG, "success"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(Call)), st.integers(-1, 1000), JSON, st.dictionaries(st.text(), st.text()))
def test_nothing_that_json_can_say_raises_or_denies_by_accident(call, status, body, headers):
    outcome = settled(call, Answer(status, body, headers))
    if isinstance(outcome, Denied):  # only a 498 to a check and a 400 with a list of errors need no message
        assert status == 498 or (status == 400 and "errors" in repr(body))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(raw):
    assert parse(raw) is None or raw.strip()


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_nothing_that_json_can_say_makes_a_decoder_raise(value):
    assert decode.pair(value) is None or decode.fields(value)["accessToken"] == LONG
    assert decode.user(value, "cl1") is None or decode.fields(value)["id"]
