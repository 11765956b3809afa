"""What is written down of a schedule, for the checker: calls of people, exchanges with upstream, counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from service.broker.model import CurrentToken, Grant, UserKey


@dataclass(slots=True)
class Call:
    """One call of somebody outside, and what became of it; instants are true seconds.

    `outcome` is what the use case returned or raised, None when the caller's patience ended first.
    """

    kind: str
    key: UserKey
    started_at: float
    presented: str | None = None
    min_ttl_s: float = 0.0
    patience_s: float = 8.0
    answered_at: float | None = None
    outcome: object = None
    by: str = ""
    stopped_for: float = 0.0
    clock_error_s: float = 0.0
    decided_at: float | None = None
    decided_by_clock: datetime | None = None

    def token(self):
        """Return the access token that was handed out, or None."""
        return self.outcome.access_token if isinstance(self.outcome, CurrentToken) else None

    def generation(self):
        """Return the generation that the call left the user with, or None."""
        return self.outcome.generation if isinstance(self.outcome, (CurrentToken, Grant)) else None


@dataclass(slots=True)
class Owed:
    """A block that Redis did not do when it was asked to; `paid_at` when it has done it since."""

    key: UserKey
    generation: int
    owed_at: float
    paid_at: float | None = None


class Journal:
    """One schedule's journal."""

    def __init__(self, tables):
        self._tables = tables
        self.calls = []
        self.exchanges = []
        self.counts = Counter()
        self.ahead_of_row = []
        self.owed = []

    def note_owed(self, key, generation, at):
        """Note a block that Redis did not do."""
        self.owed.append(Owed(key, generation, at))

    def note_paid(self, key, generation, at):
        """Note that Redis has done it."""
        for owed in self.owed:
            if owed.key == key and owed.generation <= generation and owed.paid_at is None:
                owed.paid_at = at

    def note_cached(self, current):
        """Note an answer that came into Redis although the row is older."""
        row = self._tables.grants.get(current.key)
        if row is None or row.generation < current.generation:
            self.ahead_of_row.append((current.key, current.generation))
