"""Asks the app who is signed in: `GET` to its own endpoint with the browser's cookies, nothing else of it.

What is no clear answer is none: a redirect, an error, a page, a body of another shape, silence. The wire
is the one towards upstream, with all its limits: one call a connection, no redirect, no proxy, 64 KiB.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.adapters.upstream.exchange import Answer, Exchange, Request
from service.adapters.upstream.wire import Wire
from service.broker.errors import SessionUnavailable
from service.broker.model import Nobody, SignedIn, Witnessed

if TYPE_CHECKING:
    import aiohttp

    from service.broker.ports import Observer

DEPENDENCY = "session_check"
ASK_AGAIN_S = 2.0

# Should there be a cache on the way after all: what it holds may be another user's.
_UNCACHED = {"Cache-Control": "no-cache, no-store"}
_NOT_SIGNED_IN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class SessionCheck:
    """The app's endpoint as a witness; `timeout_s` is all that one answer may take."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, timeout_s: float, observer: Observer
    ) -> None:
        """Take the URL as the settings have checked it."""
        parts = urlsplit(url)
        self._wire = Wire(session, f"{parts.scheme}://{parts.netloc}", timeout_s)
        self._path, self._query = parts.path or "/", parts.query
        self._observer = observer
        self._well = True

    async def ask(self, proof: str) -> Witnessed:
        """Return who is signed in by these cookies; SessionUnavailable when the app does not say."""
        headers = {**_UNCACHED, "Cookie": proof} if proof else _UNCACHED
        read = _read(await self._wire.send(Request("GET", self._path, headers, self._query)))
        self._well = not isinstance(read, str)
        if isinstance(read, str):
            self._observer.note("dependency.down", dependency=DEPENDENCY, reason=read)
            raise SessionUnavailable(retry_after_s=ASK_AGAIN_S)
        self._observer.note("dependency.up", dependency=DEPENDENCY)
        return read

    async def look(self) -> None:
        """Ask without cookies while the last answer was none: a quiet hour must not show what is over."""
        if not self._well:
            try:
                await self.ask("")
            except SessionUnavailable:
                return


def _read(exchange: Exchange) -> Witnessed | str:
    """Return who is signed in, or why that is not to be known; never a word of what the app said."""
    if not isinstance(exchange, Answer):
        return getattr(exchange, "reason", "not sent")
    if exchange.status in _NOT_SIGNED_IN:
        return Nobody("not_signed_in")
    if not HTTPStatus(200) <= exchange.status < HTTPStatus(300):
        return f"status {exchange.status}"
    if not isinstance(exchange.body, dict):
        return "not a JSON object of 64 KiB at most"
    return SignedIn.read(exchange.body, "id") or 'no "id" that is an app user\'s id'
