"""What is looked for is found in every form, and nothing else is; it is told without the secret."""

import base64
import json
from urllib.parse import quote

import pytest

from sandbox.calcom.jwt import sign
from sandbox.secrecy import Needles, Watch, without_its_token

SECRET = 'a"secret+of/this=test'
KEY = base64.b64encode(b"a key of thirty-two bytes, sealed").decode()
TOKEN = sign({"type": "access_token", "jti": "1"}, b"k" * 32)
FORMS = {
    "raw": lambda text: text.encode(),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "escaped for a URL": lambda text: quote(text, safe="").encode(),
    "escaped for JSON": lambda text: json.dumps(text).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, one byte on": lambda text: base64.b64encode(b"x" + text.encode()),
    "base64, two bytes on": lambda text: base64.b64encode(b"xy" + text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b">>?" + text.encode()),
}


def found(content):
    needles = Needles()
    needles.add("the secret", SECRET)
    needles.add_key("the key", KEY)
    needles.add_url("the password", "redis://:p%40ss-word-of@127.0.0.1/0")
    needles.add_token(TOKEN)
    return [what for what, _ in needles.found(content)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "text", [SECRET, KEY, TOKEN, "p@ss-word-of"], ids=["secret", "key", "token", "password"]
)
def test_a_secret_is_found_in_every_form(form, text):
    assert found(b"before " + form(text) + b" after") != []


@pytest.mark.parametrize(
    "part",
    [base64.b64decode(KEY), base64.b64decode(KEY).hex().encode(), *(p.encode() for p in TOKEN.split("."))],
    ids=["a key's bytes", "its bytes in hexadecimal", "a token's header", "its claims", "its signature"],
)
def test_a_part_of_one_is_found_as_well(part):
    assert found(b"before " + part + b" after") != []


def test_of_a_token_that_somebody_else_signed_no_more_is_known_than_how_it_begins():
    other = base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":"1"}')
    assert found(b"X-Broker-Assertion: " + other) == ["a token as it is"]


@pytest.mark.parametrize("kind", ["", "EC ", "RSA "])
def test_a_private_key_is_found_whoever_made_it(kind):
    lines = f"-----BEGIN {kind}PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49"
    assert found(b"ssl: " + lines.encode()) == ["a private key as it is"]
    assert found(b"ssl: " + base64.b64encode(lines.encode())) != []
    assert found(b"ssl: " + json.dumps(lines).encode()) != []


def test_what_is_no_secret_is_not_found():
    assert found(b'{"event":"request.done","route":"/refresh","user_id":"anna"} eyJ ZXlK ' * 50) == []


def test_what_was_found_is_told_by_place_and_kind_and_never_shown():
    watch = Watch(Needles())
    watch.needles.add("the secret", SECRET)
    watch.look("a log", f"before {SECRET}")

    assert [str(one) for one in watch.taken()] == ["a log holds the secret as it is, at byte 7"]
    assert watch.taken() == []


GOOD = {"accessToken": TOKEN, "accessTokenExpiresAt": 1}
REFRESH_TOKEN = sign({"type": "refresh_token", "ownerId": 7, "jti": "r"}, b"k" * 32)


@pytest.mark.parametrize(
    ("path", "answer", "leaks"),
    [
        ("/refresh", GOOD, False),
        ("/v1/users/anna/token", {**GOOD, "calUserId": 7, "generation": 1}, False),
        ("/refresh", {**GOOD, "refreshToken": "x"}, True),
        ("/refresh", {**GOOD, "generation": TOKEN}, True),
        ("/refresh", {**GOOD, "accessToken": REFRESH_TOKEN}, True),
        ("/refresh", {"code": "token_unknown", "accessToken": TOKEN}, True),
        ("/v1/users/anna", GOOD, True),
        ("/metrics", GOOD, True),
    ],
)
def test_only_the_answer_that_is_there_for_a_token_may_hold_it_and_only_once(path, answer, leaks):
    watch = Watch(Needles())
    watch.answer("GET", path, json.dumps(answer).encode())
    assert bool(watch.seen) is leaks


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"no JSON", b'{"accessToken":7}', b'{"accessToken":""}']
)
def test_an_answer_without_a_token_is_looked_at_whole(body):
    assert without_its_token(body) == body
