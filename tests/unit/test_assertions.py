"""Signed statements of who is signed in: what one must be to count, and every way not to."""

import pytest

from service.adapters.assertions import Assertions
from service.adapters.key_set import read_keys
from service.broker.model import Nobody, SignedIn
from tests.support.statements import (
    NOW,
    PRIVATE,
    STRANGER,
    assembled,
    claims,
    hmac_by,
    key_set,
    pem,
    public,
    statement,
)


class Keys:
    """A source that gives these keys, and remembers which were asked for."""

    def __init__(self, *keys):
        self.keys = read_keys(key_set(*keys))
        self.asked = []

    async def key(self, key_id):
        self.asked.append(key_id)
        return self.keys.get(key_id)


def statement_of(said, kid="ed"):
    """Sign any claims with the key, whatever a careful library would say of them."""
    unsigned = assembled({"alg": "EdDSA", "kid": kid}, said).rpartition(".")[0]
    signature = PRIVATE[kid][1].sign(unsigned.encode())
    return f"{unsigned}.{assembled(b'', b'', signature).rpartition('.')[2]}"


async def read(text, *keys, now=NOW):
    return await Assertions(Keys(*keys), lambda: now).ask(text)


@pytest.mark.parametrize("kid", PRIVATE)
async def test_each_kind_of_key_verifies_by_its_own_algorithm(kid):
    assert await read(statement(kid)) == SignedIn("u-1")


async def test_a_statement_may_say_under_which_client():
    assert await read(statement(client="acme")) == SignedIn("u-1", "acme")


@pytest.mark.parametrize("aud", ["token-broker", ["token-broker"]])
async def test_it_is_addressed_to_the_broker_alone(aud):
    assert await read(statement(aud=aud)) == SignedIn("u-1")


@pytest.mark.parametrize(
    "aud", ["other", None, "", ["token-broker", "other"], ["other"], [], {}, 1, "Token-Broker", True]
)
async def test_one_for_somebody_else_does_not_count(aud):
    assert await read(statement(aud=aud)) == Nobody("assertion_audience")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - 5}, "assertion_expired"),
        ({"exp": NOW - 86_400}, "assertion_expired"),
        ({"exp": NOW + 66}, "assertion_too_long"),
        ({"exp": NOW + 86_400}, "assertion_too_long"),
        ({"iat": NOW - 30, "exp": NOW + 40}, "assertion_too_long"),
        ({"iat": NOW + 5, "exp": NOW + 70}, "assertion_too_long"),
        ({"iat": NOW + 6}, "assertion_early"),
        ({"nbf": NOW + 6}, "assertion_early"),
        ({"exp": None}, "assertion_times"),
        ({"exp": str(NOW + 60)}, "assertion_times"),
        ({"exp": True}, "assertion_times"),
        ({"exp": []}, "assertion_times"),
        ({"exp": 1e300}, "assertion_times"),
        ({"exp": 2**62}, "assertion_times"),
        ({"iat": "now"}, "assertion_times"),
        ({"iat": -(2**62)}, "assertion_times"),
        ({"nbf": False}, "assertion_times"),
    ],
)
async def test_it_holds_for_a_minute_by_our_own_clock(changes, reason):
    assert await read(statement_of(claims(**changes))) == Nobody(reason)


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW - 4}, {"exp": NOW + 65}, {"iat": NOW + 5}, {"nbf": NOW + 5}, {"iat": None}, {"nbf": NOW - 9},
     {"exp": NOW + 59.5}],
)  # fmt: skip
async def test_clocks_may_differ_by_a_few_seconds(changes):
    assert await read(statement(**changes)) == SignedIn("u-1")


@pytest.mark.parametrize("sub", [None, "", 7, "a/b", "a b", "ä", "x" * 129, ["u-1"], "u-1\n"])
async def test_it_names_one_user_of_the_app(sub):
    # The signing library refuses some of these itself, so the statement is put together as text.
    said = claims(sub=sub)
    text = statement_of(said)
    assert await read(text) == Nobody("assertion_subject")


@pytest.mark.parametrize("client", ["", "ACME", 7, ["acme"], "a" * 33])
async def test_a_client_that_cannot_be_one_spoils_it(client):
    assert await read(statement(client=client)) == Nobody("assertion_subject")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 0, ["EdDSA"]])
@pytest.mark.parametrize("signature", [b"", b"x" * 64])
async def test_without_a_signature_it_is_nothing(alg, signature):
    text = assembled({"alg": alg, "kid": "ed"}, claims(), signature)
    assert isinstance(await read(text), Nobody)


@pytest.mark.parametrize("kid", PRIVATE)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_shared_secret(kid, alg):
    assert await read(hmac_by(pem(kid), {"alg": alg, "kid": kid})) == Nobody("assertion_signature")


@pytest.mark.parametrize(
    ("kid", "alg"), [("ed", "ES256"), ("ec", "RS256"), ("rsa", "PS256"), ("ec", "EdDSA")]
)
async def test_a_key_verifies_by_no_other_algorithm(kid, alg):
    text = statement(kid)
    _, said, signature = text.split(".")
    header = assembled({"alg": alg, "kid": kid}, b"").split(".")[0]
    assert await read(f"{header}.{said}.{signature}") == Nobody("assertion_signature")


async def test_a_strangers_key_under_our_id_does_not_verify():
    assert await read(statement(by=STRANGER)) == Nobody("assertion_signature")


async def test_one_changed_letter_spoils_it():
    header, said, signature = statement().split(".")
    other = statement(sub="u-2").split(".")[1]
    assert await read(f"{header}.{other}.{signature}") == Nobody("assertion_signature")
    assert await read(f"{header}.{said}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}") == Nobody(
        "assertion_signature"
    )


@pytest.mark.parametrize(
    "header",
    [{"jku": "http://127.0.0.1:1/k"}, {"x5u": "http://127.0.0.1:1/k"}, {"jwk": public("ed")}, {"x5c": ["AA"]},
     {"crit": ["exp"]}],
)  # fmt: skip
async def test_it_brings_no_key_and_no_extension_of_its_own(header):
    assert isinstance(await read(statement(header=header)), Nobody)


@pytest.mark.parametrize("kid", ["../ed", "ed' OR 1=1", "ED", "", "x" * 2000])
async def test_a_key_that_is_not_there_is_unknown(kid):
    assert (await read(statement(header={"kid": kid}))).reason == "assertion_key_unknown"


@pytest.mark.parametrize("kid", [None, 7, ["ed"], {"a": 1}])
async def test_it_names_its_key(kid):
    text = assembled({"alg": "EdDSA", **({"kid": kid} if kid else {})}, claims(), b"x" * 64)
    assert isinstance(await read(text), Nobody)


DEEP = b"[" * 1_400


GARBAGE = {
    "dots": ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "e30.e30.e30"],
    "framed": [f"Bearer {statement()}", f"{statement()} ", f"{statement()}=", f"{statement()}\n"],
    "letters": ["żółć.żółć.żółć", "\udcff.\udcff.\udcff"],
    "long": ["a" * 4097, "A" * 100_000, statement(note="x" * 4_000)],
    "headers": [assembled(header, claims()) for header in ([], DEEP, b"\xff", b"")],
    "detached": [assembled({"alg": "EdDSA", "kid": "ed", "b64": False}, claims(), b"x" * 64)],
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_nobody_and_asks_for_no_key(kind):
    keys = Keys()
    for text in GARBAGE[kind]:
        assert isinstance(await Assertions(keys, lambda: NOW).ask(text), Nobody)
    assert keys.asked == []


@pytest.mark.parametrize("said", [DEEP, b"", b"null", b'"x"', b"\xff", b'{"exp": NaN}', b"[1]"])
async def test_what_is_signed_must_be_an_object(said):
    text = statement_of(said)
    if not said:
        text = text.replace("..", ".e30.")
    assert isinstance(await read(text), Nobody)
