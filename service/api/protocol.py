"""aiohttp's connection handling, made safe for what strangers send.

aiohttp writes a parser's error into its log and into the answer, and the error quotes the header it
stumbled over: possibly a token. It also waits long for a head that trickles in. Nothing here knows
what a request means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import _ErrInfo

from service.api.answer import Reply
from service.api.body import MAX_BODY
from service.api.frame import Frame

HEAD_DEADLINE_S = 8.0
"""From the first byte of a head, or from the connection's begin, to the head's end."""
KEEP_ALIVE_S = 75.0
"""Longer than proxies keep a connection, so that none sends a request into one that is just closing."""
LINGER_S = 2.0
"""How long the rest of a body that nobody wants is taken in, so that the answer to it can be read."""
MOST_HEAD = 65_536


class Connection(web.RequestHandler):
    """One connection; its errors are counted, never quoted."""

    __slots__ = ("_frame", "_head_timer")

    def __init__(self, server: Server, frame: Frame, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
            access_log=cast("logging.Logger", None),  # off: the frame notes every request itself
            auto_decompress=False,
            # Roomier than what is accepted, so that it is refused by name and not as broken HTTP.
            max_line_size=MOST_HEAD,
            max_field_size=MOST_HEAD,
        )
        self._frame = frame
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait no longer for the first head than for any other."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a head that is not complete in time ends the connection."""
        before = self._request_count
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - the loop would log it with its message
            self._frame.failed(error)
            self.force_close()
            return
        if self._request_count != before:
            self._stop_timer()
            self._break_off()
        elif self._head_timer is None and self._waiter is not None and not self._messages:
            self._start_timer()

    def _break_off(self) -> None:
        """End the body that was under way when the parser failed: nobody may wait for the rest of it.

        The request it belongs to has an answer of its own, so the parser's error needs none.
        """
        if not self._messages or not isinstance(self._messages[-1][0], _ErrInfo):
            return
        waiting = [payload for _, payload in list(self._messages)[-2:-1]]
        if not waiting and self._current_request is not None:
            waiting = [self._current_request.content]
        if not waiting or waiting[0].is_eof():
            return
        self._messages.pop()
        waiting[0].set_exception(web.RequestPayloadError())
        waiting[0].feed_eof()
        self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer with the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def take_wait(self) -> tuple[float, float]:
        """Return once how long the request that is handed on has waited before aiohttp was given it.

        First in all, then how much of it for a cache.
        """
        return 0.0, 0.0

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Let the request under way end, within `timeout` seconds; a connection without one closes at once.

        aiohttp waits in vain for a connection that was accepted but does not listen yet, and waits its
        time-out twice for a request that does not end.
        """
        if not (self._request_in_progress or self._messages):
            self.force_close()
        await super().shutdown(None if timeout is None else timeout / 2)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the parser's words, which quote what was sent
    ) -> web.StreamResponse:
        """Answer what could not be parsed (400), or what even the frame did not catch."""
        if status == HTTPStatus.BAD_REQUEST:
            return cast("web.StreamResponse", self._frame.unparsable(request, exc))
        answer = self._frame.failed(exc or RuntimeError())
        return cast("web.StreamResponse", Reply(answer, request, b"", close=True))

    def log_exception(self, *args: object, **kw: object) -> None:  # noqa: ARG002 - aiohttp's signature
        """Note where an error came from that reached the connection itself."""
        error = kw.get("exc_info")
        if isinstance(error, BaseException):
            self._frame.failed(error)

    def _start_timer(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_DEADLINE_S, self.force_close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


Make = Callable[["Server", Frame, asyncio.AbstractEventLoop], web.RequestHandler]


class Server(web.Server):
    """Makes a Connection, or what `make` makes of one, of every connection to one listener."""

    def __init__(self, frame: Frame, make: Make = Connection) -> None:
        super().__init__(frame, request_factory=_request)
        self._frame = frame
        self._make = make

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return self._make(self, self._frame, asyncio.get_running_loop())


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)
