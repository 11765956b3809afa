"""Hands out what a cache holds, at once: all that `answers` does for the commonest callers, and nothing else.

Whatever would take a decision of weight (a refresh, a confirmation, a look into the database) is left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from service.broker.behind import Behind, Given
from service.broker.crowds import Crowds
from service.broker.identity import in_order
from service.broker.model import CurrentToken, Fingerprint, UserKey
from service.broker.policy import Terms, plainly_served, refusal_of, vouched_lately
from service.broker.ports import CacheHit, Found, Looks, Ports


class AtHand:
    """Answers from a cache, by the same policy as anybody; None is no answer: ask `Answers`.

    What was given is for its door to `note`; where it came from it tells together with the answer itself.
    """

    def __init__(self, ports: Ports, looks: Looks, terms: Terms, behind: Behind, crowds: Crowds) -> None:
        self.near: Callable[[Fingerprint | UserKey], CacheHit | None] = looks.near
        self.ask: Callable[[Fingerprint | UserKey, Found], None] = looks.ask
        self.clock: Callable[[], datetime] = ports.clock
        self._fingerprints = ports.fingerprints
        self._terms = terms
        self._crowds = crowds
        self.note: Callable[[Given], None] = behind.note

    def fingerprint(self, access_token: str) -> Fingerprint | None:
        """Return what to look for; None while more than one key of the ring is in use."""
        fingerprints = self._fingerprints.of(access_token)
        return fingerprints[0] if len(fingerprints) == 1 else None

    def follow(self, look: Fingerprint | UserKey, found: Found) -> bool:
        """Have `found` called with what came of another who asks `Answers` for the same, if anybody does."""
        return isinstance(look, Fingerprint) and self._crowds.follow(look, partial(self._told, look, found))

    def _told(self, look: Fingerprint, found: Found, hit: CacheHit | None) -> None:
        """Look again: a crowd is told a few at a time, and a revoke may have come since the first of them."""
        if hit is None or hit.confirmed:
            found(hit)
        elif (near := self.near(hit.current.key)) is not None:
            found(CacheHit(hit.presented, near.current, near.source))
        else:
            self.ask(look, found)

    def for_browser(self, hit: CacheHit, now: datetime) -> CurrentToken | None:
        """Return the token in force for an older one that counts; the one in force is in doubt."""
        entry, current = hit.presented, hit.current
        if not in_order(hit) or (entry.generation == current.generation and not hit.confirmed):
            return None
        if not plainly_served(current, now, self._terms):
            return None
        if refusal_of(entry, current, now, self._terms, bound=True) is not None:
            return None
        return current

    def for_service(self, hit: CacheHit, now: datetime, *, vouch: bool) -> CurrentToken | None:
        """Return the user's token, unless the app's word for the user has to be noted first."""
        current = hit.current
        if vouch and not vouched_lately(current.binding, now):
            return None
        if not plainly_served(current, now, self._terms):
            return None
        return current
