"""Lets as many callers at the pool as there are open connections, and opens another while some wait.

asyncpg opens a connection for whoever finds none free, and has it wait for that very one. Where that takes
long (a process that has just begun on a busy machine opens ten at once) a caller is refused while others,
which have done in milliseconds, stand idle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

import asyncpg

AGAIN_S = 1.0


class Turns:
    """Whose turn it is, first come, first served; one caller may always try.

    `pool` is to be made with `connect` and set before the first turn.
    """

    pool: asyncpg.Pool[asyncpg.Record]

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._in = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._opening: asyncio.Task[bool] | None = None

    def take(self) -> bool:
        """Take a turn if there is one now."""
        if self._waiting or self._in >= self._room():
            return False
        self._in += 1
        return True

    async def wait(self) -> None:
        """Wait for a turn; TimeoutError when none comes in a statement's time."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._open_another()
        try:
            async with asyncio.timeout(self._timeout_s):
                await waiter
        except BaseException:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(waiter)
            else:
                self.leave()
            raise

    def leave(self) -> None:
        """Give the turn back."""
        self._in -= 1
        self._let_in()

    async def aclose(self) -> None:
        """Open nothing more."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})

    async def connect(self, *how: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the pool says
        """Connect for the pool; where nobody waits for this very connection, until it can be had.

        The pool hands out a place in which it failed to connect before those that are connected: that it
        cannot open one more must not keep callers from those it has.
        """
        while True:
            try:
                return await asyncpg.connect(*how, **options)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if self._opening is None or asyncio.current_task() is not self._opening:
                    raise
            await asyncio.sleep(AGAIN_S)

    def _room(self) -> int:
        return max(1, self.pool.get_size())

    def _let_in(self) -> None:
        while self._waiting and self._in < self._room():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._in += 1
                waiter.set_result(None)

    def _open_another(self) -> None:
        if self._opening is None and self.pool.get_size() < self.pool.get_max_size():
            self._opening = asyncio.create_task(self._open_one())
            self._opening.add_done_callback(self._opened)

    async def _open_one(self) -> bool:
        """Open a connection: all that are open are in use now, or one is found free, which is as good."""
        try:
            await self.pool.release(await self.pool.acquire())
        except Exception:  # noqa: BLE001 - whoever has a turn meets the same, and says so
            return False
        return True

    def _opened(self, opening: asyncio.Task[bool]) -> None:
        self._opening = None
        if opening.cancelled():
            return
        self._let_in()
        if opening.result() and self._waiting:
            self._open_another()
