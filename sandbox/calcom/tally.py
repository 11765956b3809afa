"""A count that can be awaited: arrivals at a gate, hits of a fault, lines of the journal."""

from __future__ import annotations

import asyncio


class Tally:
    """Counts upwards and wakes who waits for a count."""

    __slots__ = ("_waiting", "value")

    def __init__(self) -> None:
        self.value = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def add(self) -> None:
        """Count one more."""
        self.value += 1
        if self._waiting:
            self._wake()

    async def reached(self, count: int, timeout_s: float) -> None:
        """Wait until the count is reached; raises TimeoutError."""
        if self.value >= count:
            return
        reached = asyncio.get_running_loop().create_future()
        self._waiting.append((count, reached))
        async with asyncio.timeout(timeout_s):
            await reached

    def _wake(self) -> None:
        for count, reached in self._waiting:
            if self.value >= count and not reached.done():
                reached.set_result(None)
        self._waiting = [(count, reached) for count, reached in self._waiting if not reached.done()]
