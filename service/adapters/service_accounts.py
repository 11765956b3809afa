"""Reads the tokens of Kubernetes service accounts, as the kubelet projects them into a caller's pod.

Verified by the cluster's public keys alone: nobody is asked about a token, so one counts until its end,
an hour at most, also when its pod is gone before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.adapters.signed import Bounds, Signed, is_compact

if TYPE_CHECKING:
    from service.adapters.key_sources import KeySource
    from service.broker.ports import Observer

# An hour is what the kubelet asks for unless told otherwise, a minute what Kubernetes itself allows clocks.
BOUNDS = Bounds(longest_life_s=3600, leeway_s=60, required=frozenset({"exp", "iat", "nbf"}))
REMEMBERED = 512
"""Tokens whose signature is not verified again: a pod shows the same one for most of an hour."""

_SUBJECT = re.compile(r"system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})")


class ServiceAccounts:
    """The cluster as who says which of its service accounts a token belongs to."""

    def __init__(
        self, keys: KeySource, issuer: str, observer: Observer, now: Callable[[], float] = time.time
    ) -> None:
        """Verify by these keys and this clock (seconds since the epoch) what this issuer has issued."""
        self._keys, self._issuer = keys, issuer
        self._signed = Signed(keys, BOUNDS, REMEMBERED)
        self._observer = observer
        self._now = now

    async def name(self, token: str) -> str | None:
        """Return `namespace/name` of the account whose token this is; None, with its reason noted, if none's.

        KeysUnavailable when no keys were ever had.
        """
        if not is_compact(token):
            return None
        read = await self._read(token)
        if isinstance(read, str):
            self._observer.note("caller.refused", reason=f"token_{read}")
            return None
        return "/".join(read.groups())

    async def look(self) -> None:
        """Have the keys look whether what failed is well again."""
        await self._keys.look()

    async def _read(self, token: str) -> re.Match[str] | str:
        claims = await self._signed.read(token, self._now())
        if isinstance(claims, str):
            return claims
        if claims.get("iss") != self._issuer:
            return "issuer"
        subject = claims.get("sub")
        return (_SUBJECT.fullmatch(subject) if isinstance(subject, str) else None) or "subject"
