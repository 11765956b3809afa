"""One running refresh of a user inside this process; callers share it, and who leaves does not stop it.

Knows nothing of tokens. The task itself removes the flight when it ends, never a waiter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from service.broker.ports import Tracer, Trail

Result = TypeVar("Result")


@dataclass(slots=True)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    rank: int
    trail: Trail | None


class TimeLeft:
    """Counts down from when it is made: one time for all that has to end, so that no stage adds its own."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = asyncio.get_running_loop().time() + seconds

    def __call__(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self._ends_at - asyncio.get_running_loop().time())


class Flights(Generic[Result]):
    """Runs at most one task a key, detached from whoever asked for it; each a trail of this name."""

    def __init__(self, name: str = "", tracer: Tracer | None = None) -> None:
        self._name = name
        self._tracer = tracer
        self._running: dict[Hashable, _Flight[Result]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def running(self, key: Hashable) -> bool:
        """Whether a flight for this key is under way."""
        return key in self._running

    def start(
        self,
        key: Hashable,
        run: Callable[[], Coroutine[Any, Any, Result]],
        *,
        rank: int = 0,
        client: str = "",
        why: str = "",
    ) -> tuple[asyncio.Task[Result], bool]:
        """Join the key's flight, or start one; returns its task and whether it was joined.

        A flight of lower `rank` does less than is asked for: the new one runs after it has ended.
        `client` and `why` are for the trail.
        """
        running = self._running.get(key)
        if running is not None and running.rank >= rank:
            if running.trail is not None:
                running.trail.joined()
            return running.task, True
        trail = self._tracer.begin(self._name, client, why) if self._tracer is not None else None
        work = partial(_after, running, run)
        task = asyncio.get_running_loop().create_task(work() if trail is None else trail.follow(work))
        self._running[key] = _Flight(task, rank, trail)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(key, ended))
        return task, False

    async def drain(self, timeout_s: float) -> int:
        """Wait until nothing flies; returns how many were still running after `timeout_s` seconds."""
        left_s = TimeLeft(timeout_s)
        while self._tasks and left_s() > 0:
            await asyncio.wait(set(self._tasks), timeout=left_s())
        return len(self._tasks)

    def _ended(self, key: Hashable, task: asyncio.Task[Result]) -> None:
        self._tasks.discard(task)
        flight = self._running.get(key)
        if flight is not None and flight.task is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # nobody may be left to hear it; the flight itself has noted it


async def _after(running: _Flight[Result] | None, run: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    if running is not None:
        await asyncio.wait({running.task})
    return await run()


async def end_task(task: asyncio.Task[Any], *, again_s: float = 0.5) -> None:
    """Cancel a task until it has ended; a wait that is answered at that very instant can miss it once."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=again_s)


async def join(task: asyncio.Task[Result]) -> Result:
    """Wait for a flight without being able to stop it."""
    return await asyncio.shield(task)
