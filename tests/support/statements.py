"""Signed statements of who is signed in, and the app's keys, good ones and every kind of bad one."""

import base64
import hashlib
import hmac
import json

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = 1_772_366_400

ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
STRANGER = ed25519.Ed25519PrivateKey.generate()
PRIVATE = {"ed": ("EdDSA", ED), "ec": ("ES256", EC), "rsa": ("RS256", RSA)}


def public(whose="ed", **changes):
    """A key as the app publishes it."""
    algorithm, private = PRIVATE[whose]
    as_dict = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    as_dict.pop("key_ops", None)
    return {key: value for key, value in {**as_dict, "kid": whose, **changes}.items() if value is not None}


def key_set(*keys):
    return {"keys": list(keys) or [public(kid) for kid in PRIVATE]}


def pem(kid):
    """The public key as text: what a forger would sign by, were it taken for a shared secret."""
    return (
        PRIVATE[kid][1]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def claims(now=NOW, **changes):
    said = {"aud": "token-broker", "sub": "u-1", "iat": now, "exp": now + 60, **changes}
    return {name: value for name, value in said.items() if value is not None}


def statement(kid="ed", *, now=NOW, header=None, by=None, **changes):
    """A good statement about u-1, but for what is changed."""
    algorithm, private = PRIVATE[kid]
    named = {"kid": kid, **(header or {})}
    return jwt.encode(claims(now, **changes), by or private, algorithm=algorithm, headers=named)


def assembled(header, said, signature=b""):
    """A statement put together by hand, whatever its parts are."""
    return ".".join(map(_part, (header, said, signature)))


def hmac_by(secret, header, said=None):
    """A statement signed with a secret, as no library would with a public key."""
    signed = assembled(header, said or claims()).rpartition(".")[0]
    return f"{signed}.{_part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
