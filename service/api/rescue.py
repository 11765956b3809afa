"""Takes up the connections that another process leaves waiting: it has died, hangs, or drains.

Each process has a socket of its own on the listener's address and the kernel spreads connections over them,
also over one that nobody accepts from at the moment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

EVERY_S = 0.25


class Rescue:
    """Looks at the other processes' sockets four times a second until it is ended."""

    def __init__(self, make: Callable[[], asyncio.BaseProtocol], others: Sequence[socket.socket]) -> None:
        self._make = make
        self._others = others
        for sock in others:
            sock.setblocking(False)
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Take up nothing more; what has been taken up is served."""
        self._ended.set()
        await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._others and not self._ended.is_set():
            for sock in self._others:
                for connection in _waiting(sock):
                    try:
                        await loop.connect_accepted_socket(self._make, connection)
                    except OSError:  # it was given up meanwhile; the next one was not
                        connection.close()
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
