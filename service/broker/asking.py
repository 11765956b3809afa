"""Who asks, in this request: noted by the door, and what is learned of the exchange on the way.

Work that a request begins runs in a copy of its context and so learns for the same one.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from service.broker.model import Fingerprint, LineageEntry, UserKey

LONGEST_AGENT = 1024
"""So much of a user agent is taken note of."""


@dataclass(slots=True)
class Asking:
    """One request as its door sees it; `agent` is its raw beginning, and goes no further than its hash.

    `address` is the caller's as text: compared for every exchange, and text keeps its hash.
    """

    request_id: str
    address: str | None = None
    origin: str | None = None
    agent: str = ""
    actor: str | None = None
    key: UserKey | None = None
    fingerprint: Fingerprint | None = None
    presented: int | None = None
    generation: int | None = None
    reason: str | None = None

    def again(self, request_id: str) -> Asking:
        """Return the same one asking in another request, of which nothing is known yet."""
        return Asking(request_id, self.address, self.origin, self.agent, self.actor)


_asking: ContextVar[Asking | None] = ContextVar("asking", default=None)


def begin(asking: Asking | None) -> None:
    """Let what runs from here on, in this context, be on behalf of who asks."""
    _asking.set(asking)


def end() -> None:
    """Let what runs from here on be on nobody's behalf."""
    _asking.set(None)


def who_asks() -> Asking | None:
    """Return on whose behalf this runs, if on anybody's."""
    return _asking.get()


def showed(fingerprint: Fingerprint, entry: LineageEntry) -> None:
    """Learn whose token was presented, and which of the user's."""
    asking = _asking.get()
    if asking is not None:
        asking.key, asking.presented, asking.fingerprint = entry.key, entry.generation, fingerprint


def was_given(generation: int) -> None:
    """Learn which generation's token is handed out."""
    asking = _asking.get()
    if asking is not None:
        asking.generation = generation


def was_refused(reason: str) -> None:
    """Learn why nothing is handed out: for the audit alone, the answer does not tell."""
    asking = _asking.get()
    if asking is not None:
        asking.reason = reason
