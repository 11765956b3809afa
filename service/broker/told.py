"""Has it told that a circuit was opened or closed: once, however many processes hold it open.

A process says that it holds one open for as long as it does; what nobody says any more is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from service.broker.ports.notices import CircuitStore
from service.broker.ports.world import Clock

SAID_AGAIN = timedelta(seconds=10)
LEFT_AFTER = timedelta(minutes=5)
"""Far longer than a process takes to say so again once the database is back."""


class ToldCircuits:
    """What one process has said of its circuits."""

    def __init__(self, standing: Callable[[], Mapping[str, str]], store: CircuitStore, clock: Clock) -> None:
        """`standing` gives the clients whose circuit is open here, each with the reason."""
        self._standing = standing
        self._store = store
        self._clock = clock
        self._said_at: dict[str, datetime] = {}

    async def flush(self) -> None:
        """Say what has changed, and now and then what has not. Raises StorageUnavailable."""
        standing, now = self._standing(), self._clock()
        for client, reason in standing.items():
            said_at = self._said_at.get(client)
            if said_at is None or now - said_at >= SAID_AGAIN:
                await self._store.opened(client, reason)
                self._said_at[client] = now
        for client in self._said_at.keys() - standing.keys():
            await self._store.closed(client)
            del self._said_at[client]
