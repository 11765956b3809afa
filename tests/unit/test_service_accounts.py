"""Tokens of Kubernetes service accounts: what one must be to count, and every way not to."""

import json
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from service.adapters import signed
from service.adapters.key_set import read_keys
from service.adapters.service_accounts import REMEMBERED, ServiceAccounts
from service.broker.errors import KeysUnavailable
from tests.support.account_tokens import ISSUER, account_token, claims
from tests.support.cached import Notes
from tests.support.statements import (
    NOW,
    PRIVATE,
    STRANGER,
    assembled,
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


class Read:
    """What came of a token: whose it is, or why it is nobody's."""

    def __init__(self, name, notes):
        self.name = name
        self.reasons = [facts["reason"] for event, _, facts in notes.heard if event == "caller.refused"]


async def read(token, keys=None, now=NOW, issuer=ISSUER):
    notes = Notes()
    accounts = ServiceAccounts(keys or Keys(), issuer, notes, lambda: now)
    return Read(await accounts.name(token), notes)


def token_of(said, kid="ed"):
    """Sign any claims with the cluster's key, whatever a careful library would say of them."""
    unsigned = assembled({"alg": "EdDSA", "kid": kid}, said).rpartition(".")[0]
    signature = PRIVATE[kid][1].sign(unsigned.encode())
    return f"{unsigned}.{assembled(b'', b'', signature).rpartition('.')[2]}"


@pytest.mark.parametrize("kid", PRIVATE)
async def test_a_projected_token_names_its_account(kid):
    found = await read(account_token(kid=kid))
    assert (found.name, found.reasons) == ("shop/backend", [])


@pytest.mark.parametrize("account", ["a/b", "shop/back.end-1", "0/0", "n" * 63 + "/" + "a" * 253])
async def test_every_name_that_kubernetes_allows_is_one(account):
    assert (await read(account_token(account))).name == account


WRONG = {
    "token_audience": [
        {"aud": aud}
        for aud in ("https://kubernetes.default.svc", None, [], ["token-broker", "x"], ["Token-Broker"], {})
    ],
    "token_issuer": [{"iss": iss} for iss in (None, "", f"{ISSUER}/", ISSUER.upper(), [ISSUER], 7)],
    "token_expired": [{"exp": NOW - 60}, {"exp": NOW - 86_400, "iat": NOW - 90_000, "nbf": NOW - 90_000}],
    "token_early": [{"nbf": NOW + 61}, {"iat": NOW + 61}],
    "token_times": [
        *({name: None} for name in ("exp", "iat", "nbf")),
        *({name: str(NOW)} for name in ("exp", "iat", "nbf")),
        *({name: True} for name in ("exp", "iat", "nbf")),
        {"exp": 2**60}, {"iat": -(2**60)},
    ],
    "token_too_long": [
        {"exp": NOW + 3661}, {"exp": NOW + 31_536_000}, {"iat": NOW - 1800, "exp": NOW + 1861},
    ],
    "token_subject": [
        {"sub": sub}
        for sub in (
            None, "", "shop/backend", "system:serviceaccount:shop", "system:serviceaccount:shop:",
            "system:serviceaccount::backend", "system:serviceaccount:shop:backend:x", "system:node:n1",
            "system:serviceaccount:a/b:c", "system:serviceaccount:shop:backend\n", ["x"], 7,
            "SYSTEM:serviceaccount:shop:backend", "system:serviceaccount:shop:" + "a" * 254,
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "changes"), [(reason, changes) for reason, several in WRONG.items() for changes in several]
)
async def test_a_token_that_is_wrong_is_nobodys_and_its_reason_is_noted(reason, changes):
    found = await read(token_of(claims(**changes)))
    assert (found.name, found.reasons) == (None, [reason])


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60, "exp": NOW + 3660}, {"exp": NOW + 3607},
     {"exp": NOW + 600}, {"aud": "token-broker"}],
)  # fmt: skip
async def test_clocks_may_differ_by_a_minute(changes):
    assert (await read(token_of(claims(**changes)))).name == "shop/backend"


async def test_a_token_that_lives_on_in_a_secret_for_ever_does_not_count():
    legacy = claims(iss="kubernetes/serviceaccount", aud=None, exp=None, iat=None, nbf=None)
    assert (await read(token_of(legacy))).name is None


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 0, ["RS256"]])
@pytest.mark.parametrize("signature", [b"", b"x" * 64])
async def test_without_a_signature_it_is_nothing(alg, signature):
    assert (await read(assembled({"alg": alg, "kid": "rsa"}, claims(), signature))).name is None


@pytest.mark.parametrize("kid", PRIVATE)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_shared_secret(kid, alg):
    found = await read(hmac_by(pem(kid), {"alg": alg, "kid": kid}))
    assert (found.name, found.reasons) == (None, ["token_signature"])


@pytest.mark.parametrize(
    ("kid", "alg"), [("rsa", "PS256"), ("rsa", "RS512"), ("ec", "RS256"), ("ed", "ES256")]
)
async def test_a_key_verifies_by_no_other_algorithm(kid, alg):
    _, said, signature = account_token(kid=kid).split(".")
    header = assembled({"alg": alg, "kid": kid}, b"").split(".")[0]
    assert (await read(f"{header}.{said}.{signature}")).reasons == ["token_signature"]


async def test_another_clusters_key_under_our_id_does_not_verify():
    assert (await read(account_token(kid="ed", by=STRANGER))).reasons == ["token_signature"]


async def test_an_account_cannot_become_another_one():
    header, _, signature = account_token().split(".")
    said = account_token("shop/admin").split(".")[1]
    assert (await read(f"{header}.{said}.{signature}")).reasons == ["token_signature"]


@pytest.mark.parametrize("kid", ["", "../rsa", "rsa' OR 1=1", "x" * 2000])
async def test_a_key_that_the_cluster_has_not_is_unknown(kid):
    assert (await read(account_token(header={"kid": kid}))).reasons == ["token_key_unknown"]


@pytest.mark.parametrize(
    "header",
    [{"jku": "http://127.0.0.1:1/k"}, {"x5u": "http://127.0.0.1:1/k"}, {"jwk": public("rsa")},
     {"x5c": ["AA"]}, {"crit": ["exp"]}],
)  # fmt: skip
async def test_it_brings_no_key_of_its_own(header):
    keys = Keys()
    assert (await read(account_token(header=header), keys)).name is None
    assert keys.asked == []


async def test_a_statement_of_the_app_is_no_token_of_an_account():
    assert (await read(statement())).name is None


@pytest.mark.parametrize("text", ["backend-key", "a.b", "a.b.c.d", "", "x" * 5000, "a.b.c" * 1000])
async def test_what_has_not_the_form_of_a_token_asks_for_no_key_and_is_not_noted(text):
    keys = Keys()
    found = await read(text, keys)
    assert (found.name, found.reasons, keys.asked) == (None, [], [])


@pytest.mark.parametrize("said", [b"", b"null", b"[]", b"{", b"\xff", json.dumps("x").encode(), b"[" * 1400])
async def test_what_is_signed_must_be_an_object(said):
    token = token_of(said) if said else token_of(b"").replace("..", ".e30.")
    assert (await read(token)).name is None


async def test_without_any_keys_nothing_is_known():
    class NoKeys:
        async def key(self, _):
            raise KeysUnavailable(retry_after_s=2)

    with pytest.raises(KeysUnavailable):
        await read(account_token(), NoKeys())


@pytest.fixture
def accounts(monkeypatch):
    """Accounts of a cluster, and how often a signature was verified."""
    counted, keys = SimpleNamespace(verified=0), Keys()

    def claims_of(text, key):
        counted.verified += 1
        return real(text, key)

    real = signed._claims
    monkeypatch.setattr(signed, "_claims", claims_of)
    clock = [NOW]
    return ServiceAccounts(keys, ISSUER, Notes(), lambda: clock[0]), keys, clock, counted


async def test_a_token_that_comes_again_is_not_verified_anew(accounts):
    read, _, _, counted = accounts
    token = account_token()
    assert {await read.name(token) for _ in range(5)} == {"shop/backend"}
    assert counted.verified == 1


async def test_a_token_that_was_good_ends_all_the_same(accounts):
    read, _, clock, _ = accounts
    token = account_token()
    assert await read.name(token) == "shop/backend"
    clock[0] += 3600 + 60
    assert await read.name(token) is None


async def test_a_token_that_was_good_goes_with_its_key(accounts):
    read, keys, _, _ = accounts
    token = account_token(kid="ed")
    assert await read.name(token) == "shop/backend"
    keys.keys = read_keys(key_set(public("rsa")))
    assert await read.name(token) is None
    other = ed25519.Ed25519PrivateKey.generate()
    published = jwt.get_algorithm_by_name("EdDSA").to_jwk(other.public_key(), as_dict=True)
    keys.keys = read_keys({"keys": [{**published, "kid": "ed", "key_ops": ["verify"]}]})
    assert await read.name(token) is None


async def test_a_bad_token_is_verified_each_time_and_keeps_no_place(accounts):
    read, _, _, counted = accounts
    header, said, signature = account_token().split(".")
    bad = f"{header}.{said}.{'A' if signature[5] != 'A' else 'B'}{signature[1:]}"
    assert [await read.name(bad) for _ in range(3)] == [None] * 3
    assert (counted.verified, read._signed._verified) == (3, {})


async def test_so_many_tokens_are_remembered_and_no_more(accounts):
    read, _, _, _ = accounts
    for number in range(REMEMBERED + 5):
        await read.name(account_token(kid="ed", jti=str(number)))
    assert len(read._signed._verified) == REMEMBERED
