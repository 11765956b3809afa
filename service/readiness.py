"""Whether this process should be given requests, and how each thing it depends on stands.

With a dependency down it is ready: it can still answer, and all replicas share it. Only draining makes it
unready, and a schema older than its release: that is its own fault, and replicas of the older release go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping


class Readiness:
    """Asks the dependencies when it is asked itself, at most once a second; one that hangs is down."""

    def __init__(
        self,
        pings: Mapping[str, Callable[[], Awaitable[bool]]],
        *,
        every_s: float = 1.0,
        within_s: float = 1.5,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.draining = False
        self._pings = dict(pings)
        self._every_s = every_s
        self._within_s = within_s
        self._behind = behind
        self._asked_at = float("-inf")
        self._looking: asyncio.Future[list[None]] | None = None
        self._asking: dict[str, asyncio.Future[bool]] = {}
        self._states: dict[str, str] = {}

    @property
    def behind(self) -> bool:
        """Whether the database, when last seen, lacked what this release needs of it."""
        return self._behind()

    async def dependencies(self) -> dict[str, str]:
        """Return each dependency with its state, "up" or "down"."""
        now = asyncio.get_running_loop().time()
        if self._looking is None or (self._looking.done() and now - self._asked_at >= self._every_s):
            self._asked_at = now
            self._looking = asyncio.gather(*map(self._look, self._pings))
        await asyncio.shield(self._looking)
        return dict(self._states)

    async def _look(self, name: str) -> None:
        """Wait a little for the dependency's answer; a question that hangs is not asked twice at a time."""
        asking = self._asking.get(name)
        if asking is None or asking.done():
            asking = self._asking[name] = asyncio.ensure_future(self._pings[name]())
        answered, _ = await asyncio.wait({asking}, timeout=self._within_s)
        self._states[name] = "up" if answered and asking.result() else "down"
