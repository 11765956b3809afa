"""Whether this process should be given requests, and how each thing it depends on stands.

Only draining makes it unready: with a dependency down it can still answer, and all replicas share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping


class Readiness:
    """Asks the dependencies when it is asked itself, at most once a second."""

    def __init__(self, pings: Mapping[str, Callable[[], Awaitable[bool]]], *, every_s: float = 1.0) -> None:
        self.draining = False
        self._pings = dict(pings)
        self._every_s = every_s
        self._asked_at = float("-inf")
        self._states: dict[str, str] = {}

    async def dependencies(self) -> dict[str, str]:
        """Return each dependency with its state, "up" or "down"."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= self._every_s:
            self._asked_at = now
            answers = await asyncio.gather(*(ping() for ping in self._pings.values()))
            self._states = dict(zip(self._pings, map(_state, answers), strict=True))
        return self._states


def _state(up: bool) -> str:
    return "up" if up else "down"
