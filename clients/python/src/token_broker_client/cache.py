"""The client's own short memory: the last token of each user, for a few seconds, never past what was asked.

Pure but for the clock it is given, a monotonic one: nothing depends on what time this machine thinks it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from token_broker_client.token import Token

MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """A token, when it was asked for, and how long it lived from then on at least."""

    token: Token
    asked_at: float
    life_s: float


class Cache:
    """Keeps a token for `keep_s` seconds from when it was asked for; 0 keeps none."""

    def __init__(self, keep_s: float, clock: Callable[[], float]) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._refused: set[tuple[str, str]] = set()

    def find(self, user_id: str, min_ttl_s: float) -> Token | None:
        """Return a token that is fresh and has so much life left."""
        entry = self._entries.get(user_id)
        if entry is None:
            return None
        age_s = self._clock() - entry.asked_at
        if age_s >= self._keep_s or entry.life_s - age_s <= min_ttl_s:
            return None
        return entry.token

    def put(self, user_id: str, token: Token, asked_at: float, life_s: float) -> None:
        """Keep a token, unless a newer one is there or it was refused meanwhile."""
        known = self._entries.get(user_id)
        newer = known is not None and known.token.generation > token.generation
        if self._keep_s <= 0 or newer or (user_id, token.access_token) in self._refused:
            return
        # What was kept last goes last: the first in line is what has been there longest.
        self._entries.pop(user_id, None)
        self._entries[user_id] = _Entry(token, asked_at, life_s)
        while len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def refuse(self, user_id: str, access_token: str) -> None:
        """Let nobody have this token from here until `settle`."""
        self._refused.add((user_id, access_token))
        entry = self._entries.get(user_id)
        if entry is not None and entry.token.access_token == access_token:
            del self._entries[user_id]

    def settle(self, user_id: str, access_token: str) -> None:
        """Note that the broker has spoken about the refused token: it may have found it good."""
        self._refused.discard((user_id, access_token))

    def forget(self, user_id: str) -> None:
        """Let go of what is kept of a user."""
        self._entries.pop(user_id, None)
