"""What one sweep has in hand: work under way in batches, so much of it at a time.

Knows nothing of grants. Work that fails or hangs holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, TypeVar

from service.broker.errors import BrokerError

Done = TypeVar("Done")


class Hands(Generic[Done]):
    """Holds at most `most` pieces of work; on the way out by cancellation it lets go of what it holds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._half = max(1, most // 2)
        self._held = 0
        self._batches: list[asyncio.Task[list[Done]]] = []
        self._room = asyncio.Event()

    async def __aenter__(self) -> Hands[Done]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, BrokerError):
            await self.rest()
        for batch in self._batches:
            batch.cancel()

    @property
    def free(self) -> int:
        """How much more may be taken up."""
        return self._most - self._held

    @property
    def well(self) -> bool:
        """Whether nothing has failed in a way that nobody foresaw."""
        return all(batch.cancelled() or not batch.exception() for batch in self._batches if batch.done())

    def take_up(self, count: int, batch: Coroutine[Any, Any, list[Done]]) -> None:
        """Begin a batch of so many pieces, each of which is put down when it ends."""
        self._held += count
        self._batches.append(asyncio.get_running_loop().create_task(batch))

    def put_down(self) -> None:
        """Note that a piece of work has ended."""
        self._held -= 1
        if self.free >= self._half:
            self._room.set()

    async def until_half_free(self) -> None:
        """Wait until at most half of what may be held is held."""
        self._room.clear()
        if self.free < self._half:
            await self._room.wait()

    async def rest(self) -> list[Done]:
        """Wait until everything has ended and return what came of it."""
        return [done for batch in await asyncio.gather(*self._batches) for done in batch]
