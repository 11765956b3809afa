"""Reads signed statements of who is signed in: compact JWTs by a key of the app, for a minute at most.

PyJWT takes them apart and verifies; what they must say is decided here, against this machine's own clock
(RFC 8725). Nothing in a statement chooses its algorithm or where a key is had from.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeGuard

import orjson
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from service.broker.model import Nobody, SignedIn, Witnessed

if TYPE_CHECKING:
    from service.adapters.key_set import PublicKey
    from service.adapters.key_sources import KeySource

AUDIENCE = "token-broker"
LONGEST = 4096
LONGEST_LIFE_S = 60
LEEWAY_S = 5

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KEYS_FROM_OUTSIDE = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
"""What would have a key fetched or taken from the statement itself, and extensions that nobody here knows."""
_LARGEST_INSTANT = 2**53

_JWS = PyJWS(["EdDSA", "ES256", "RS256"], {"enforce_minimum_key_length": True})


class Assertions:
    """The app's keys as a witness: it says who is signed in, in advance and in writing."""

    def __init__(self, keys: KeySource, now: Callable[[], float] = time.time) -> None:
        """Verify by these keys and this clock (seconds since the epoch)."""
        self._keys = keys
        self._now = now

    async def ask(self, proof: str) -> Witnessed:
        """Return whom the statement names, or what is wrong with it; SessionUnavailable without keys."""
        header = _header(proof)
        if header is None:
            return Nobody("assertion_malformed")
        key_id = header.get("kid")
        if not isinstance(key_id, str) or _KEYS_FROM_OUTSIDE & header.keys():
            return Nobody("assertion_header")
        key = await self._keys.key(key_id)
        if key is None:
            return Nobody("assertion_key_unknown")
        claims = _claims(proof, key)
        if claims is None:
            return Nobody("assertion_signature")
        wrong = _misfit(claims, self._now())
        return Nobody(wrong) if wrong else SignedIn.read(claims, "sub") or Nobody("assertion_subject")

    async def look(self) -> None:
        """Have the keys look whether what failed is well again."""
        await self._keys.look()


def _header(proof: str) -> Mapping[str, object] | None:
    if len(proof) > LONGEST or not _COMPACT.fullmatch(proof):
        return None
    try:
        header: Mapping[str, object] = _JWS.get_unverified_header(proof)
    except (PyJWTError, ValueError, RecursionError):
        return None
    return header


def _claims(proof: str, key: PublicKey) -> Mapping[str, object] | None:
    """Return what was signed by this key with its own algorithm; None when it was not, or is no object."""
    try:
        claims = orjson.loads(_JWS.decode(proof, key.key, algorithms=[key.algorithm]))
    except (PyJWTError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _misfit(claims: Mapping[str, object], now: float) -> str | None:
    """Return why a good signature's statement does not count now."""
    if claims.get("aud") not in (AUDIENCE, [AUDIENCE]):
        return "assertion_audience"
    ends = claims.get("exp")
    begins = [claims[name] for name in ("iat", "nbf") if name in claims]
    if not _is_instant(ends) or not all(map(_is_instant, begins)):
        return "assertion_times"
    if ends <= now - LEEWAY_S:
        return "assertion_expired"
    if ends > now + LONGEST_LIFE_S + LEEWAY_S:
        return "assertion_too_long"
    return _early_or_old(claims, ends, now)


def _early_or_old(claims: Mapping[str, object], ends: float, now: float) -> str | None:
    issued, begins = claims.get("iat", now), claims.get("nbf", now)
    if not (_is_instant(issued) and _is_instant(begins)) or max(issued, begins) > now + LEEWAY_S:
        return "assertion_early"
    return "assertion_too_long" if ends - issued > LONGEST_LIFE_S + LEEWAY_S else None


def _is_instant(value: object) -> TypeGuard[float]:
    """Whether this is a number of seconds that can be compared; a bool, a text or a null is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_INSTANT
