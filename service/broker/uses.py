"""Writes behind who was given which generation: once a generation, in batches, never on a caller's time.

What is lost here in a crash costs one refresh on request instead of ahead of time, nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from service.broker.model import CurrentToken, UserKey
from service.broker.ports import Clock, GrantStore, Use

_REMEMBERED = 50_000


class Uses:
    """Collects first uses and hands them to the store."""

    def __init__(self, store: GrantStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pending: dict[UserKey, Use] = {}
        self._known: tuple[OrderedDict[UserKey, int], ...] = (OrderedDict(), OrderedDict())
        """The generation last noted of each user: what services were given, and browsers."""

    def note(self, current: CurrentToken, *, by_browser: bool, at: datetime | None = None) -> None:
        """Remember that this generation's token was given to somebody, `at` this instant or now."""
        key, generation, known = current.key, current.generation, self._known[by_browser]
        if known.get(key) == generation:
            return
        known[key] = generation
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
        self._add(Use(key, generation, at or self._clock(), by_browser))

    async def flush(self) -> int:
        """Write what has come together; what cannot be written now is kept for the next time."""
        pending, self._pending = self._pending, {}
        if not pending:
            return 0
        written = False
        try:
            await self._store.note_uses(list(pending.values()))
            written = True
        finally:
            if not written:
                for use in pending.values():
                    self._add(use)
        return len(pending)

    def _add(self, use: Use) -> None:
        """Put a use beside what is pending of its user: the newer generation, by a browser if either was."""
        other = self._pending.get(use.key)
        if other is not None:
            newer = max(use, other, key=lambda one: (one.generation, one.at))
            use = newer._replace(by_browser=use.by_browser or other.by_browser)
        self._pending[use.key] = use
