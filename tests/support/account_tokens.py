"""Tokens of Kubernetes service accounts, as the kubelet projects them, good ones and bad ones."""

import jwt

from tests.support.statements import NOW, PRIVATE

ISSUER = "https://kubernetes.default.svc.cluster.local"


def claims(now=NOW, account="shop/backend", **changes):
    """What stands in such a token; None takes something away."""
    namespace, _, name = account.partition("/")
    said = {
        "aud": ["token-broker"],
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "iss": ISSUER,
        "jti": "5d3a2f0e-0000-4000-8000-000000000000",
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": f"{name}-7d4b9c", "uid": "0a1b"},
            "serviceaccount": {"name": name, "uid": "2c3d"},
        },
        "sub": f"system:serviceaccount:{namespace}:{name}",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def account_token(account="shop/backend", kid="rsa", *, now=NOW, header=None, by=None, **changes):
    """A good token of an account, but for what is changed."""
    algorithm, private = PRIVATE[kid]
    named = {"kid": kid, **(header or {})}
    return jwt.encode(claims(now, account, **changes), by or private, algorithm=algorithm, headers=named)
