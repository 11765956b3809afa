"""Takes in what was handed out from a cache, and notes it behind the callers, many at once.

Who was given a token, whether that token may be in wrong hands, who asked: nobody's answer waits for any of
it. A crash loses what came since the last flush, as it does of all that is written behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from datetime import datetime
from typing import NamedTuple

from service.broker.asking import Asking
from service.broker.audit import Audit
from service.broker.model import CurrentToken, LineageEntry
from service.broker.reuse import Reuses
from service.broker.uses import Uses

MOST_WAITING = 4_096
"""What comes beyond is noted at once, with the oldest that wait."""
_AT_ONCE = 256
"""So many take a few milliseconds, and no request waits longer than for these."""
DONE = "ok"


class Given(NamedTuple):
    """A token that was handed out; `entry` is what was presented for it, if it was for a browser.

    `address` is where the caller is, as it is counted; `event` is what the exchange is kept as.
    """

    current: CurrentToken
    entry: LineageEntry | None
    asking: Asking
    address: Hashable | None
    event: str
    at: datetime


class Behind:
    """Collects what was given until it is noted."""

    def __init__(self, reuses: Reuses, uses: Uses, audit: Audit) -> None:
        self._reuses = reuses
        self._uses = uses
        self._audit = audit
        self._waiting: list[Given] = []

    def note(self, given: Given) -> None:
        """Take it in."""
        self._waiting.append(given)
        if len(self._waiting) > MOST_WAITING:
            self._take_in()

    async def flush(self) -> None:
        """Note all that waits, with a turn for others in between."""
        while self._waiting:
            self._take_in()
            await asyncio.sleep(0)

    def _take_in(self) -> None:
        oldest = self._waiting[:_AT_ONCE]
        del self._waiting[:_AT_ONCE]
        for current, entry, asking, address, event, at in oldest:
            if entry is not None:
                self._reuses.look_at(entry, current.generation, address, at, asking)
            self._uses.note(current, by_browser=entry is not None, at=at)
            self._audit.exchanged(asking, event, DONE, at)
