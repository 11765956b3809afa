"""A frame whose requests are followed as traces; where nobody follows, a plain Frame knows nothing of it.

A caller's own trace is continued only if the caller is known; whoever asks on the public listener is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from aiohttp import web

from service.api.frame import Frame

_QUIET = frozenset({"/healthz"})
"""Probes of the listeners that are traced: asked every few seconds, and nothing happens in them."""


class FollowRequest(Protocol):
    """Follows what happens while the block runs as one request."""

    def __call__(
        self, listener: str, traceparent: str | None, *, trusted: bool
    ) -> AbstractContextManager[None]:
        """Begin to follow."""


async def trust_nobody(_: web.BaseRequest) -> bool:
    """Know no caller."""
    return False


class TracedFrame(Frame):
    """Answers as any frame does, inside a trace; `trusts` says whose own trace is continued."""

    def __init__(
        self,
        *frame: Any,  # noqa: ANN401 - what any frame is made of
        listener: str,
        follow: FollowRequest,
        trusts: Callable[[web.BaseRequest], Awaitable[bool]],
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*frame, **settings)
        self._listener = listener
        self._follow = follow
        self._trusts = trusts

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the request."""
        if request.raw_path in _QUIET:
            return await super().__call__(request)
        given = request.headers.getall("traceparent", [])
        traceparent = given[0] if len(given) == 1 else None
        trusted = traceparent is not None and await self._trusts(request)
        with self._follow(self._listener, traceparent, trusted=trusted):
            return await super().__call__(request)
