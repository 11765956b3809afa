"""Lets a caller wait only so long for work that goes on without it.

What was begun for a caller who gave up may hold a pair that exists nowhere else: it is never cancelled,
and `drain` waits for it before the process ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from service.api.patience import ASK_AGAIN_S
from service.broker.errors import BrokerError, RefreshInProgress
from service.broker.ports import Observer

T = TypeVar("T")


class Waits:
    """The work that callers of one listener wait for, or no longer do."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._running: set[asyncio.Task[Any]] = set()

    async def at_most(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result; RefreshInProgress when it takes longer, and the work goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            task.add_done_callback(self._note_late_failure)
            raise RefreshInProgress(retry_after_s=ASK_AGAIN_S)
        return task.result()

    async def drain(self, seconds: float) -> int:
        """Wait for what still runs; returns how many did not end in time."""
        if not self._running:
            return 0
        _, pending = await asyncio.wait(set(self._running), timeout=seconds)
        return len(pending)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        _error_of(task)  # looked at, or asyncio logs it with its message when nobody waits any more

    def _note_late_failure(self, task: asyncio.Task[Any]) -> None:
        error = _error_of(task)
        if error is not None and not isinstance(error, BrokerError):
            self._observer.note("request.work_failed", error=type(error).__name__)


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
