"""Public keys of the app (JWKS, RFC 7517): what may verify a statement, and by which one algorithm.

A key's own type decides the algorithm, never what a statement says of itself. What is no public key for
signatures is refused with the whole set when it is dangerous to go on, and left out when it is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

LEAST_RSA_BITS = 2048
MOST_KEYS = 32
LONGEST_KEY_ID = 256

_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key and the only algorithm it verifies by."""

    key: PyJWK
    algorithm: str


Keys = Mapping[str, PublicKey]


def parse_keys(raw: bytes) -> Keys:
    """Return the set's keys by their ids; ValueError says what is wrong, never what stands there."""
    try:
        document = orjson.loads(raw)
    except ValueError:
        raise ValueError("is not JSON") from None
    return read_keys(document)


def read_keys(document: object) -> Keys:
    """Return the keys of a parsed set by their ids."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f'must be a JWKS: {{"keys": [...]}} with {MOST_KEYS} keys at most')
    keys: dict[str, PublicKey] = {}
    for place, entry in enumerate(listed, start=1):
        if not isinstance(entry, dict):
            raise ValueError(f"key {place} is not an object")  # noqa: TRY004 - one way out
        if not _is_ours(entry, place):
            continue
        key_id = entry.get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
            raise ValueError(f"key {place} has no kid, by which statements name their key")
        if key_id in keys:
            raise ValueError(f"key {place} has the kid of another key")
        keys[key_id] = _key(entry, place)
    if not keys:
        raise ValueError("has no public key for signatures by EdDSA (Ed25519), ES256 or RS256")
    return keys


def _is_ours(entry: Mapping[str, object], place: int) -> bool:
    """Whether the key may verify statements; ValueError for a secret where only public keys belong."""
    if entry.get("kty") == "oct" or "d" in entry or "k" in entry:
        raise ValueError(f"key {place} is a secret: only public keys belong here, and this one is burnt")
    operations = entry.get("key_ops", ["verify"])
    signs = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    algorithm = _algorithm(entry)
    return signs and algorithm is not None and entry.get("alg", algorithm) == algorithm


def _algorithm(entry: Mapping[str, object]) -> str | None:
    kind, curve = entry.get("kty"), entry.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    return _ALGORITHMS.get((kind, curve))


def _key(entry: dict[str, object], place: int) -> PublicKey:
    algorithm = _algorithm(entry) or ""
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, ValueError, TypeError):
        raise ValueError(f"key {place} cannot be read") from None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < LEAST_RSA_BITS:
        raise ValueError(f"key {place} is an RSA key of fewer than {LEAST_RSA_BITS} bits")
    return PublicKey(key, algorithm)
