"""Takes up the connections that another process leaves waiting: it has died, hangs, or drains.

Each process has a socket of its own on the listener's address and the kernel spreads connections over them,
also over one that nobody accepts from at the moment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress

from service.api.sites import Taker

EVERY_S = 0.25


class Rescue:
    """Looks at the other processes' sockets four times a second until it is ended."""

    def __init__(self, taker: Taker, others: Sequence[socket.socket]) -> None:
        self._taker = taker
        self._others = others
        for sock in others:
            sock.setblocking(False)
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Take up nothing more; what has been taken up is served."""
        self._ended.set()
        await self._task
        await self._taker.settle()

    async def _run(self) -> None:
        while self._others and not self._ended.is_set():
            for sock in self._others:
                for connection in _waiting(sock):
                    await self._taker.take(connection)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), EVERY_S)


def _waiting(sock: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait there now; the socket must not block."""
    while True:
        try:
            connection, _ = sock.accept()
        except OSError:  # none waits, it went away again, or there is no room for one more
            return
        connection.setblocking(False)
        yield connection
