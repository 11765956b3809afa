"""Numbers each user's pairs in the order upstream issued them, by the identifiers of their access tokens.

Generations are instants and long; "the third pair" is what a person can follow. Holds no token.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.calcom import Entry

_KEPT = 60


class Pairs:
    """The numbers of the newest pairs; `numbers` is by identifier."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._issued: Counter[int] = Counter()

    def note(self, entry: Entry) -> None:
        """Count the pair that the entry tells of, if it does."""
        if entry.issued_access is None or entry.user_id is None:
            return
        self._issued[entry.user_id] += 1
        self.numbers[entry.issued_access] = self._issued[entry.user_id]
        if len(self.numbers) > _KEPT:
            del self.numbers[next(iter(self.numbers))]

    def current(self, user_id: int | None) -> int:
        """Return the number of the user's newest pair, 0 when it is not known."""
        return self._issued[user_id] if user_id is not None else 0
