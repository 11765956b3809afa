"""Ends waits that take too long, with one timer for all of them.

Most waits end within a millisecond, and a timer of its own would cost each of them half of what the
rest of the door costs. Knows nothing of what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from service.broker.errors import RefreshInProgress

T = TypeVar("T")

ASK_AGAIN_S = 2.0


class Patience:
    """Lets every caller wait the same time; one whose time is up leaves, what it waited for goes on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._spent: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, work: Awaitable[T]) -> T:
        """Return the work's result; RefreshInProgress when it takes longer. Cancels the waiting itself."""
        task = asyncio.current_task()
        if task is None:
            return await work
        loop = asyncio.get_running_loop()
        self._ends[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._end_due, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._spent and task.uncancel() == 0:
                raise RefreshInProgress(retry_after_s=ASK_AGAIN_S) from None
            raise
        finally:
            self._ends.pop(task, None)
            self._spent.discard(task)

    def _end_due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake those whose time is up; they stand in the order in which they came."""
        self._timer = None
        for task, ends in list(self._ends.items()):
            if ends > loop.time():
                self._timer = loop.call_at(ends, self._end_due, loop)
                break
            if task not in self._spent:
                self._spent.add(task)
                task.cancel()
