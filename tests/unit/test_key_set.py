"""The app's published keys: which may verify statements, and which spoil the whole set."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.adapters.key_set import parse_keys, read_keys
from tests.support.statements import ED, PRIVATE, key_set, public


def test_three_kinds_of_keys_are_known():
    keys = parse_keys(json.dumps(key_set(), indent=2).encode())
    assert {kid: key.algorithm for kid, key in keys.items()} == {
        kid: algorithm for kid, (algorithm, _) in PRIVATE.items()
    }


@pytest.mark.parametrize(
    "other",
    [
        public("ed", kid="x", use="enc"),
        public("ed", kid="x", key_ops=["sign"]),
        public("rsa", kid="x", alg="PS256"),
        public("rsa", kid="x", alg="RS512"),
        {"kty": "AKP", "kid": "x"},
        {"kid": "x"},
        {"kty": "OKP", "crv": "X25519", "kid": "x", "x": "AAAA"},
        {"kty": ["EC"], "crv": {}, "kid": "x"},
    ],
)
def test_what_is_not_for_statements_is_left_out(other):
    assert set(read_keys(key_set(public("ed"), other))) == {"ed"}
    with pytest.raises(ValueError, match="no public key for signatures"):
        read_keys(key_set(other))


def small_rsa():
    key = rsa.generate_private_key(65537, 1024).public_key()
    return {
        **jwt.get_algorithm_by_name("RS256").to_jwk(key, as_dict=True),
        "kid": "small",
        "key_ops": ["verify"],
    }


def private_ed():
    return {**jwt.get_algorithm_by_name("EdDSA").to_jwk(ED, as_dict=True), "kid": "private"}


@pytest.mark.parametrize(
    ("spoiling", "words"),
    [
        (private_ed(), "is a secret"),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, "is a secret"),
        (public("ec", kid=None), "has no kid"),
        (public("ec", kid=7), "has no kid"),
        (public("ec", kid=""), "has no kid"),
        (public("ec", kid="ed"), "the kid of another key"),
        (public("ec", x="AAAA"), "cannot be read"),
        (public("ed", kid="e2", x="AAAA"), "cannot be read"),
        (small_rsa(), "fewer than 2048 bits"),
        ("ed", "is not an object"),
    ],
)
def test_what_is_wrong_spoils_the_set_and_is_not_repeated(spoiling, words):
    with pytest.raises(ValueError, match=f"key 2 .*{words}") as wrong:
        read_keys(key_set(public("ed"), spoiling))
    assert "c2VjcmV0" not in str(wrong.value)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 5000]
)
def test_what_is_no_set_is_refused(raw):
    with pytest.raises(ValueError, match=r"JWKS|JSON|no public key"):
        parse_keys(raw)


def test_a_set_has_a_bounded_number_of_keys():
    with pytest.raises(ValueError, match="32 keys at most"):
        read_keys(key_set(*(public("ed", kid=f"k{n}") for n in range(33))))


def test_a_curve_of_another_size_is_left_out():
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    other = {
        **jwt.get_algorithm_by_name("ES384").to_jwk(key, as_dict=True),
        "kid": "p384",
        "key_ops": ["verify"],
    }
    assert set(read_keys(key_set(public("ec"), other))) == {"ec"}
