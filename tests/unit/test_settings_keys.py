"""Key rings and the callers of the internal listener, as an operator writes them."""

import pytest

from service.settings import callers, keys
from tests.support.environment import digest_of, key_of


def test_a_key_ring_keeps_its_order():
    ring = keys.parse_key_ring(f"new:{key_of('n')}, old:{key_of('o')}")
    assert ring == (("new", b"n" * 32), ("old", b"o" * 32))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "entry 1 of 1 is empty"),
        (f"a:{key_of('a')},", "entry 2 of 2 is empty"),
        (key_of("a"), "entry 1 of 1 must be id:base64"),
        (f"a.b:{key_of('a')}", "must be id:base64"),
        ("a:c2hvcnQ=", "has a key of 5 bytes"),
        ("a:???", "is not base64"),
        (f"a:{key_of('a')[:-1]}", "is not base64"),
        (f"a:{key_of('a')},a:{key_of('b')}", "the same key id twice"),
        (f"a:{key_of('a')},b:{key_of('a')}", "the same key twice"),
    ],
)
def test_a_faulty_key_ring_is_refused_with_the_entry(text, said):
    with pytest.raises(ValueError, match=said):
        keys.parse_key_ring(text)


HEX = digest_of("k")


@pytest.mark.parametrize(
    ("rights", "scopes", "clients"),
    [
        ("", callers.DEFAULT_SCOPES, None),
        (":", callers.DEFAULT_SCOPES, None),
        (":admin", {"admin"}, None),
        (":users:read+vouch", {"users:read", "vouch"}, None),
        (":users:read:acme+beta", {"users:read"}, {"acme", "beta"}),
        ("::acme", callers.DEFAULT_SCOPES, {"acme"}),
        (":tokens:read:read", {"tokens:read"}, {"read"}),
    ],
)
def test_a_caller_has_scopes_and_clients(rights, scopes, clients):
    (key,) = callers.parse_api_keys(f"backend:{HEX}{rights}")
    assert (key.name, key.digest, key.scopes, key.clients) == ("backend", bytes.fromhex(HEX), scopes, clients)


def test_without_a_list_of_scopes_a_caller_is_no_administrator():
    assert {"users:read", "users:write", "tokens:read", "vouch"} == callers.DEFAULT_SCOPES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backend", "SHA-256 of the key"),
        (f":{HEX}", "must begin with a name"),
        (f"b c:{HEX}", "must begin with a name"),
        (f"b:{HEX[1:]}", "SHA-256 of the key"),
        (f"b:{HEX}:users", "must have scopes of"),
        (f"b:{HEX}:users:read+", "must have scopes of"),
        (f"b:{HEX}:admin:", "must have scopes of"),
        (f"b:{HEX}:admin:other", "names a client that is not configured"),
        (f"b:{HEX},c:{HEX}", "the same key twice"),
    ],
)
def test_a_faulty_list_of_callers_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        callers.parse_api_keys(text, clients=["acme"])


def test_a_caller_may_have_two_keys_while_one_replaces_the_other():
    both = callers.parse_api_keys(f"backend:{HEX},backend:{digest_of('next')}")
    assert [key.name for key in both] == ["backend", "backend"]
