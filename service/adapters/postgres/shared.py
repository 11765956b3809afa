"""Lets those who ask for the same at the same time share one read, which begins after all of them have asked.

Nobody is given what was read before they asked: a revoke that has been carried out counts for whoever comes
after it. So while a read is under way, those who come share the next one. Decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Read:
    """A read under way, and the one that is shared by all who came since it began."""

    ended: asyncio.Future[None]
    then: asyncio.Task[Any] | None = None


class SharedReads:
    """Reads by key: at most one under way, and one that waits for it."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Read] = {}

    async def read(self, key: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return what `work` reads, or raise what it raises; for the same key it must read the same."""
        ahead = self._under_way.get(key)
        if ahead is None:
            return await self._read(key, work)
        if ahead.then is None:
            ahead.then = asyncio.create_task(self._after(ahead, key, work))
            ahead.then.add_done_callback(_looked_at)
        # Whoever leaves does not take the read from the others.
        result: Result = await asyncio.shield(ahead.then)
        return result

    async def _after(self, ahead: _Read, key: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        await ahead.ended
        return await self._read(key, work)

    async def _read(self, key: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        read = self._under_way[key] = _Read(asyncio.get_running_loop().create_future())
        try:
            return await work()
        finally:
            read.ended.set_result(None)
            if read.then is None:
                del self._under_way[key]


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Look at an error that everybody has left before it came: asyncio would log it."""
    if not task.cancelled():
        task.exception()
