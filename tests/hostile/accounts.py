"""Tokens of Kubernetes service accounts for a town's internal listener: good ones, and every wrong kind."""

from __future__ import annotations

import json
import time

from tests.support.account_tokens import ISSUER, account_token, claims
from tests.support.statements import STRANGER, assembled, hmac_by, key_set, pem, public

READER, OTHER = "shop/reader", "shop/other"
HOUR_S = 3600


def _altered(token):
    header, said, signature = token.split(".")
    return f"{header}.{said}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def _swapped(token):
    header, _, signature = token.split(".")
    return ".".join((header, account_token("shop/other").split(".")[1], signature))


def draw():
    """Return the tokens by the names that cases give them; the first three count."""
    now = int(time.time())

    def token(account=READER, kid="rsa", **changes):
        return account_token(account, kid, now=now, **changes)

    unsigned = assembled({"alg": "none", "kid": "rsa"}, claims(now, READER))
    good = token()
    return {
        "sa.reader": good,
        "sa.ec": token(kid="ec"),
        "sa.other": token(OTHER),
        "sa.unlisted": token("kube-system/default"),
        "sa.alg-none": unsigned,
        "sa.alg-none-signed": f"{unsigned}{good.rpartition('.')[2]}",
        "sa.hs256-public-key": hmac_by(pem("rsa"), {"alg": "HS256", "kid": "rsa"}, claims(now, READER)),
        "sa.hs512-public-key": hmac_by(pem("ec"), {"alg": "HS512", "kid": "ec"}, claims(now, READER)),
        "sa.ps256": ".".join((assembled({"alg": "PS256", "kid": "rsa"}, b"")[:-2], *good.split(".")[1:])),
        "sa.strangers-key": token(kid="ed", header={"kid": "ed"}, by=STRANGER),
        "sa.api-audience": token(aud=["https://kubernetes.default.svc"]),
        "sa.two-audiences": token(aud=["token-broker", "other"]),
        "sa.no-audience": token(aud=None),
        "sa.issuer": token(iss="https://kubernetes.default.svc.evil.example"),
        "sa.no-issuer": token(iss=None),
        "sa.expired": token(iat=now - 2 * HOUR_S, nbf=now - 2 * HOUR_S, exp=now - HOUR_S),
        "sa.early": token(nbf=now + HOUR_S),
        "sa.from-tomorrow": token(iat=now + 24 * HOUR_S, nbf=now + 24 * HOUR_S, exp=now + 25 * HOUR_S),
        "sa.for-ever": token(exp=None),
        "sa.no-iat": token(iat=None),
        "sa.no-nbf": token(nbf=None),
        "sa.a-year": token(exp=now + 365 * 24 * HOUR_S),
        "sa.two-hours": token(exp=now + 2 * HOUR_S),
        "sa.kid-sql": token(header={"kid": "rsa' OR '1'='1"}),
        "sa.kid-path": token(header={"kid": "../../../../dev/null"}),
        "sa.no-kid": token(header={"kid": ""}),
        "sa.jwk": token(header={"jwk": public("rsa")}),
        "sa.user": token(sub="system:admin"),
        "sa.no-subject": token(sub=None),
        "sa.subject-twice": token(sub="system:serviceaccount:shop:reader:admin"),
        "sa.altered": _altered(good),
        "sa.swapped": _swapped(good),
        "sa.cut": good[:-1],
        "sa.lengthened": f"{good}A",
        "sa.fourth-part": f"{good}.AAAA",
        "sa.over-long": token(note="x" * 4096),
        "sa.deep": assembled({"alg": "RS256", "kid": "rsa"}, b"[" * 2000, b"x" * 64),
        "sa.no-json": assembled(b"\xff\xfe", b"\xff", b"\xff"),
    }


GOOD = ("sa.reader", "sa.ec", "sa.other")


def settings(folder, all_rights, acme, other):
    """Write the cluster's keys down, and return the settings of a process that lets two accounts in."""
    path = folder / "cluster-jwks.json"
    path.write_text(json.dumps(key_set(public("rsa"), public("ec"))))
    return {
        "SERVICE_ACCOUNTS": f"{READER}:users:read:{acme},{OTHER}:{all_rights}:{other}",
        "SERVICE_ACCOUNT_ISSUER": ISSUER,
        "SERVICE_ACCOUNT_JWKS": str(path),
    }
