"""Reads signed statements: compact JWTs by public keys that are known here, for a while that has a bound.

PyJWT takes them apart and verifies; what they must say is decided here, against this machine's own clock
(RFC 8725). Nothing in a statement chooses its algorithm or where a key is had from. Knows not what a
statement is about.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import orjson
from jwt import PyJWS
from jwt.exceptions import PyJWTError

if TYPE_CHECKING:
    from service.adapters.key_set import PublicKey
    from service.adapters.key_sources import KeySource

AUDIENCE = "token-broker"
LONGEST = 4096

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KEYS_FROM_OUTSIDE = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""What would have a key fetched or taken from the statement itself, and extensions that nobody here knows."""
_LARGEST_INSTANT = 2**53

_JWS = PyJWS(["EdDSA", "ES256", "RS256"], {"enforce_minimum_key_length": True})

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a statement may hold, how far clocks may differ, and which instants it must name."""

    longest_life_s: float
    leeway_s: float
    required: frozenset[str] = frozenset({"exp"})


def is_compact(text: str) -> bool:
    """Whether the text has a statement's form."""
    return len(text) <= LONGEST and _COMPACT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Verified:
    """A good signature: what it is under, and by which key."""

    claims: Claims
    key_id: str
    key: PublicKey


class Signed:
    """Reads statements by keys that may change.

    So many good signatures are remembered, by the hash of their statements, for those that come again and
    again: they are not verified anew while their key is the same. Everything else is looked at each time.
    """

    def __init__(self, keys: KeySource, bounds: Bounds, remembered: int = 0) -> None:
        """Verify by these keys and within these bounds."""
        self._keys, self._bounds = keys, bounds
        self._remembered = remembered
        self._verified: dict[bytes, _Verified] = {}

    async def read(self, text: str, now: float) -> Claims | str:
        """Return what a statement says that counts now, or in one word why it does not.

        KeysUnavailable without keys.
        """
        if not is_compact(text):
            return "malformed"
        digest = hashlib.sha256(text.encode("ascii")).digest()
        verified = self._verified.get(digest)
        if verified is None or await self._keys.key(verified.key_id) is not verified.key:
            found = await self._verify(text)
            if isinstance(found, str):
                self._verified.pop(digest, None)
                return found
            verified = found
            self._remember(digest, verified)
        return _misfit(verified.claims, now, self._bounds) or verified.claims

    async def _verify(self, text: str) -> _Verified | str:
        header = _header(text)
        if header is None:
            return "malformed"
        key_id = header.get("kid")
        if not isinstance(key_id, str) or _KEYS_FROM_OUTSIDE & header.keys():
            return "header"
        key = await self._keys.key(key_id)
        if key is None:
            return "key_unknown"
        claims = _claims(text, key)
        return "signature" if claims is None else _Verified(claims, key_id, key)

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified.pop(digest, None)
        self._verified[digest] = verified
        while len(self._verified) > self._remembered:
            del self._verified[next(iter(self._verified))]


def _header(text: str) -> Claims | None:
    try:
        header: Claims = _JWS.get_unverified_header(text)
    except (PyJWTError, ValueError, RecursionError):
        return None
    return header


def _claims(text: str, key: PublicKey) -> Claims | None:
    """Return what was signed by this key with its own algorithm; None when it was not, or is no object."""
    try:
        claims = orjson.loads(_JWS.decode(text, key.key, algorithms=[key.algorithm]))
    except (PyJWTError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _misfit(claims: Claims, now: float, bounds: Bounds) -> str | None:
    """Return why a good signature's statement does not count now."""
    if claims.get("aud") not in (AUDIENCE, [AUDIENCE]):
        return "audience"
    ends = claims.get("exp")
    begins = [claims[name] for name in ("iat", "nbf") if name in claims]
    if bounds.required - claims.keys() or not _is_instant(ends) or not all(map(_is_instant, begins)):
        return "times"
    if ends <= now - bounds.leeway_s:
        return "expired"
    if ends > now + bounds.longest_life_s + bounds.leeway_s:
        return "too_long"
    return _early_or_old(claims, ends, now, bounds)


def _early_or_old(claims: Claims, ends: float, now: float, bounds: Bounds) -> str | None:
    issued, begins = claims.get("iat", now), claims.get("nbf", now)
    if not (_is_instant(issued) and _is_instant(begins)) or max(issued, begins) > now + bounds.leeway_s:
        return "early"
    return "too_long" if ends - issued > bounds.longest_life_s + bounds.leeway_s else None


def _is_instant(value: object) -> TypeGuard[float]:
    """Whether this is a number of seconds that can be compared; a bool, a text or a null is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_INSTANT
