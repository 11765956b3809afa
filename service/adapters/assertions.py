"""Reads signed statements of who is signed in: by a key of the app, for a minute at most.

How a statement is taken apart and verified is in `signed`; here is what it is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.adapters.signed import Bounds, Signed
from service.broker.errors import KeysUnavailable, SessionUnavailable
from service.broker.model import Nobody, SignedIn, Witnessed

if TYPE_CHECKING:
    from service.adapters.key_sources import KeySource

BOUNDS = Bounds(longest_life_s=60, leeway_s=5)


class Assertions:
    """The app's keys as a witness: it says who is signed in, in advance and in writing."""

    def __init__(self, keys: KeySource, now: Callable[[], float] = time.time) -> None:
        """Verify by these keys and this clock (seconds since the epoch)."""
        self._keys = keys
        self._signed = Signed(keys, BOUNDS)
        self._now = now

    async def ask(self, proof: str) -> Witnessed:
        """Return whom the statement names, or what is wrong with it; SessionUnavailable without keys."""
        try:
            claims = await self._signed.read(proof, self._now())
        except KeysUnavailable as away:
            raise SessionUnavailable(retry_after_s=away.retry_after_s) from None
        if isinstance(claims, str):
            return Nobody(f"assertion_{claims}")
        return SignedIn.read(claims, "sub") or Nobody("assertion_subject")

    async def look(self) -> None:
        """Have the keys look whether what failed is well again."""
        await self._keys.look()
