"""Reads signed statements: compact JWTs by public keys that are known here, for a while that has a bound.

PyJWT takes them apart and verifies; what they must say is decided here, against this machine's own clock
(RFC 8725). Nothing in a statement chooses its algorithm or where a key is had from. Knows not what a
statement is about.
"""

from __future__ import annotations

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


async def read_signed(text: str, keys: KeySource, now: float, bounds: Bounds) -> Claims | str:
    """Return what a statement says that counts now, or in one word why it does not.

    KeysUnavailable without keys.
    """
    header = _header(text)
    if header is None:
        return "malformed"
    key_id = header.get("kid")
    if not isinstance(key_id, str) or _KEYS_FROM_OUTSIDE & header.keys():
        return "header"
    key = await keys.key(key_id)
    if key is None:
        return "key_unknown"
    claims = _claims(text, key)
    if claims is None:
        return "signature"
    return _misfit(claims, now, bounds) or claims


def _header(text: str) -> Claims | None:
    if not is_compact(text):
        return None
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
