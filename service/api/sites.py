"""Has a server accept connections on a socket: plain ones, or such that begin with a TLS handshake.

A handshake has a deadline and is waited for by nobody but its own connection; one that fails is no error.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

from service.api.protocol import HEAD_DEADLINE_S
from service.api.sockets import BACKLOG

FAREWELL_S = 1.0
"""How long the other side may take to say that it has seen the end of a connection."""


class Site(web.SockSite):
    """A listening socket of a server's."""

    def __init__(self, runner: web.BaseRunner, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(runner, sock, ssl_context=tls, backlog=BACKLOG)
        self._listening_on, self._tls = sock, tls

    async def start(self) -> None:
        """Accept connections from now on."""
        await web.BaseSite.start(self)
        make = self._runner.server
        if make is None:
            raise RuntimeError("the runner is not set up")
        self._server = await asyncio.get_running_loop().create_server(
            make,
            sock=self._listening_on,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=HEAD_DEADLINE_S if self._tls else None,
            ssl_shutdown_timeout=FAREWELL_S if self._tls else None,
        )


class Taker:
    """Serves connections that were accepted elsewhere."""

    def __init__(self, make: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> None:
        self._make, self._tls = make, tls
        self._shaking: set[asyncio.Task[None]] = set()

    async def take(self, connection: socket.socket) -> None:
        """Serve a connection; the next one need not wait for its handshake."""
        taking = self._take(connection)
        if self._tls is None:
            await taking
            return
        task = asyncio.create_task(taking)
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    async def settle(self) -> None:
        """Let the handshakes that are under way end; who has not even said hello has asked for nothing."""
        if not self._shaking:
            return
        _, late = await asyncio.wait(self._shaking, timeout=FAREWELL_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _take(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=HEAD_DEADLINE_S if self._tls else None,
                ssl_shutdown_timeout=FAREWELL_S if self._tls else None,
            )
        except OSError:  # it was given up meanwhile, or no handshake came; the next one was not
            connection.close()
