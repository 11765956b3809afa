"""A connection whose plain requests are tried on the short way first; aiohttp does not see those it answers.

The short way is taken only while aiohttp has nothing of this connection in hand: no request, no part of one,
nothing unsent. The first chunk that is not a whole plain request ends it, for nobody knows from there on
where in a message aiohttp's parser stands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from aiohttp import web

from service.api.express.hits import Express, Visit
from service.api.express.plain import PlainReader
from service.api.protocol import Connection

if TYPE_CHECKING:
    from service.api.frame import Frame
    from service.api.protocol import Server
    from service.broker.ports import CacheHit

_OF_AIOHTTP = frozenset(
    {
        "_buffer_paused", "_close", "_force_close", "_keepalive_timeout", "_messages",
        "_next_keepalive_close_time", "_reading_paused", "_request_count", "_waiter",
    }
)  # fmt: skip
"""What of aiohttp's own is looked at to know that it has nothing in hand."""


def fits() -> bool:
    """Whether this aiohttp has all of it: another one may not, and is left alone then."""
    there = {name for kind in web.RequestHandler.__mro__ for name in getattr(kind, "__slots__", ())}
    return there >= _OF_AIOHTTP


class ExpressConnection(Connection):
    """One connection."""

    __slots__ = (
        "_answered",
        "_close_after",
        "_data",
        "_express",
        "_found_s",
        "_held",
        "_on_its_way",
        "_plain",
        "_reader",
        "_visit",
        "_waited_s",
    )

    def __init__(
        self, server: Server, frame: Frame, loop: asyncio.AbstractEventLoop, express: Express
    ) -> None:
        super().__init__(server, frame, loop)
        self._express = express
        self._plain = True
        self._on_its_way = False
        self._answered: asyncio.Future[None] | None = None
        self._held = b""
        self._visit: Visit | None = None
        self._data = b""
        self._close_after = False
        self._found_s: float | None = None
        self._waited_s = (0.0, 0.0)
        self._reader = PlainReader(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is at the other end."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._reader = PlainReader(str(peer[0]) if isinstance(peer, list | tuple) else peer)

    def data_received(self, data: bytes) -> None:
        """Answer a plain request, or hand the chunk on; what comes while one is waited for waits as well."""
        if self._on_its_way:
            self._hold(data)
        elif not (self._plain and self._take(data)):
            super().data_received(data)

    def take_wait(self) -> tuple[float, float]:
        """Return once how long was waited in vain, and how much of it for the cache; the rest for another."""
        waited_s, self._waited_s = self._waited_s, (0.0, 0.0)
        return waited_s

    def close(self) -> None:
        """End the connection once what is waited for is answered."""
        if self._on_its_way:
            self._close_after = True
        else:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let what is waited for be answered first: it takes as long as the cache may, which is not long."""
        while self._on_its_way:
            self._answered = self._loop.create_future()
            done, _ = await asyncio.wait({self._answered}, timeout=timeout)
            if not done:
                break
        await super().shutdown(timeout)

    def _take(self, data: bytes) -> bool:
        """Try the short way; False when the chunk is to go the long one."""
        request = self._reader.read(data)
        if request is None:
            self._plain = False
            return False
        if not self._idle():
            return False
        answer = self._express(request)
        if answer is None:
            return False
        self._stop_timer()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if isinstance(answer, Visit):
            self._wait_for(answer, data)
        elif self.transport is not None:
            self.transport.write(answer)
        return True

    def _idle(self) -> bool:
        waiter, transport = self._waiter, self.transport
        # Before aiohttp's task of a new connection has run for the first time, it waits for nothing yet.
        waits = not waiter.done() if waiter is not None else self._request_count == 0
        return (
            waits
            and not self._messages
            and not self._close
            and not self._force_close
            and transport is not None
            and not transport.get_write_buffer_size()
        )

    def _wait_for(self, visit: Visit, data: bytes) -> None:
        """Have what a cache holds told to `_found`.

        A method, and what it needs in the connection, of which one request at most is on its way: a function
        that passes itself on would be a cycle, and whatever hangs on it stays until the collector finds it.
        """
        self._on_its_way, self._found_s = True, None
        self._visit, self._data = visit, data
        self._express.ask(visit, self._found)

    def _found(self, hit: CacheHit | None) -> None:
        # Finished in any case: that a client has left meanwhile changes nothing of what is noted.
        visit = cast("Visit", self._visit)
        answer = self._express.finish(visit, hit)
        stays = self.transport is not None and not self._force_close
        if answer is None and self._found_s is None:
            self._found_s = self._since_asked()
        if answer is None and stays and self._express.follow(visit, self._found):
            return
        data, self._data, self._visit, self._on_its_way = self._data, b"", None, False
        if stays:
            self._go_on(answer, data)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _since_asked(self) -> float:
        return self._loop.time() - (self._next_keepalive_close_time - self._keepalive_timeout)

    def _hold(self, data: bytes) -> None:
        """Keep what came too early; whoever sends on without waiting for answers is read no further."""
        self._held += data
        self._pause_transport_reading()

    def _go_on(self, answer: bytes | None, data: bytes) -> None:
        """Send the answer, or hand the request on; then take in what came meanwhile."""
        if answer is None:
            self._waited_s = (self._since_asked(), self._found_s or 0.0)
            super().data_received(data)
        elif self.transport is not None:
            self.transport.write(answer)
        held, self._held = self._held, b""
        if held:
            self.data_received(held)
        if self._on_its_way:
            return
        if self._close_after:
            self.close()
        elif held and not (self._buffer_paused or self._reading_paused):
            self._resume_transport_reading()
