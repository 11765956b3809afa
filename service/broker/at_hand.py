"""Hands out what a cache holds, at once: all that `Answers` does for the commonest callers, and nothing else.

Whatever would take a decision of weight (a refresh, a confirmation, a look into the database) is left to it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Hashable

from service.broker.answers import Answers
from service.broker.identity import NO_MARKS, in_order
from service.broker.model import CurrentToken, Fingerprint, UserKey
from service.broker.policy import Asked, Decision, Presented, Terms, on_read, refusal_of, vouched_lately
from service.broker.ports import CacheHit, Looks, Ports

_BY_ID = Asked(Presented.NOTHING)
_BY_OLDER_TOKEN = Asked(Presented.SUPERSEDED)


class AtHand:
    """Answers from a cache, by the same policy as anybody; None is no answer: ask `Answers`.

    Where an answer came from is for its door to note, together with the answer itself.
    """

    def __init__(self, ports: Ports, looks: Looks, terms: Terms, answers: Answers) -> None:
        self.near: Callable[[Fingerprint | UserKey], CacheHit | None] = looks.near
        self.ask: Callable[[Fingerprint | UserKey], Future[CacheHit | None]] = looks.ask
        self._fingerprints = ports.fingerprints
        self._clock = ports.clock
        self._terms = terms
        self._reuses = answers.reuses
        self._uses = answers.uses

    def fingerprint(self, access_token: str) -> Fingerprint | None:
        """Return what to look for; None while more than one key of the ring is in use."""
        fingerprints = self._fingerprints.of(access_token)
        return fingerprints[0] if len(fingerprints) == 1 else None

    def for_browser(self, hit: CacheHit, address: Hashable | None) -> CurrentToken | None:
        """Return the token in force for an older one that counts; the one in force is in doubt."""
        entry, current, now = hit.presented, hit.current, self._clock()
        if not in_order(hit) or entry.generation == current.generation:
            return None
        if refusal_of(entry, current, now, self._terms, bound=True) is not None:
            return None
        if on_read(current, NO_MARKS, _BY_OLDER_TOKEN, now, self._terms) is not Decision.SERVE:
            return None
        self._reuses.look_at(entry, current.generation, address)
        self._uses.note(current, by_browser=True)
        return current

    def for_service(self, hit: CacheHit, *, vouch: bool) -> CurrentToken | None:
        """Return the user's token, unless the app's word for the user has to be noted first."""
        current, now = hit.current, self._clock()
        if vouch and not vouched_lately(current.binding, now):
            return None
        if on_read(current, NO_MARKS, _BY_ID, now, self._terms) is not Decision.SERVE:
            return None
        self._uses.note(current, by_browser=False)
        return current
