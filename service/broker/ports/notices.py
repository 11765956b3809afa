"""Notices: where they wait, and who receives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from service.broker.model.notice import Backlog, Notice, NoticeOutcome, Receipt


class NoticeStore(Protocol):
    """The notices that wait. What changes a grant writes them with the change. Raises StorageUnavailable."""

    async def claim(
        self, owner: str, types: Sequence[str], most: int, now: datetime, hold: timedelta
    ) -> list[Notice]:
        """Commit claims on up to `most` notices that are due, of each user the first that waits alone.

        A claim holds so long; after that anybody may have it, which sends the notice a second time.
        """

    async def settle(self, notice: Notice, outcome: NoticeOutcome, now: datetime, reason: str | None) -> bool:
        """Write how a claimed notice ended; False when the claim was lost."""

    async def put_off(self, notice: Notice, until: datetime, reason: str) -> bool:
        """Let a claimed notice, and those of the same user behind it, wait so long; False as above."""

    async def hurry(self, now: datetime) -> int:
        """Make everything due that was put off; returns how many."""

    async def pass_over(self, wanted: Sequence[str], before: datetime, now: datetime) -> int:
        """Settle as unwanted what has waited since before then and is of no wanted type."""

    async def prune(self, before: datetime) -> int:
        """Delete what happened before then; returns how many."""

    async def backlog(self, types: Sequence[str], now: datetime) -> Backlog:
        """Count what waits."""

    async def note_endings(self, client: str, now: datetime, notice: timedelta) -> int:
        """Write a notice of each refresh token that ends within `notice` and is not being replaced."""


class CircuitStore(Protocol):
    """Which circuits are open somewhere; a change is written with its notice."""

    async def opened(self, client: str, reason: str) -> None:
        """Say that the circuit is open here: a notice if nobody has said so."""

    async def closed(self, client: str) -> None:
        """Say that upstream accepts the client again: a notice if anybody had said otherwise."""

    async def close_left(self, unseen: timedelta) -> int:
        """Close those that nobody has held open for so long: their processes have ended."""


class Receiver(Protocol):
    """Whom notices are sent to."""

    async def send(self, notice: Notice) -> Receipt:
        """Send it once; raises nothing for what the other side does."""
