"""Whether this process should be given requests, and how each thing it depends on stands.

With a dependency down it is ready: it can still answer, and all replicas share it. Draining makes it unready,
and so does what may be its own fault while older replicas go on: it has never seen its database, or only with
a schema older than its release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.wired import Broker

_SEEN = "database-seen"


def readiness_of(broker: Broker, shared: str | None = None) -> Readiness:
    """Return a process's readiness; processes that share a folder have begun together.

    Otherwise one that takes a dead one's place while the database is away would answer the service's probes
    with no, in turn with others who say yes.
    """
    database = broker.database

    def begun() -> bool:
        if shared is None:
            return database.seen
        mark = Path(shared, _SEEN)
        if database.seen:
            with suppress(OSError):
                mark.touch()
        return database.seen or mark.exists()

    pings = {"postgres": database.ping, "redis": broker.redis.ping}
    return Readiness(pings, behind=lambda: database.behind, begun=begun)


class Readiness:
    """Asks the dependencies when it is asked itself, at most once a second; one that hangs is down."""

    def __init__(
        self,
        pings: Mapping[str, Callable[[], Awaitable[bool]]],
        *,
        every_s: float = 1.0,
        within_s: float = 1.5,
        behind: Callable[[], bool] = lambda: False,
        begun: Callable[[], bool] = lambda: True,
    ) -> None:
        self.draining = False
        self._pings = dict(pings)
        self._every_s = every_s
        self._within_s = within_s
        self._behind = behind
        self._begun = begun
        self._asked_at = float("-inf")
        self._looking: asyncio.Future[list[None]] | None = None
        self._asking: dict[str, asyncio.Future[bool]] = {}
        self._states: dict[str, str] = {}

    @property
    def behind(self) -> bool:
        """Whether the database, when last seen, lacked what this release needs of it."""
        return self._behind()

    @property
    def begun(self) -> bool:
        """Whether the database, with what this release needs of it, was ever seen."""
        return self._begun()

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
