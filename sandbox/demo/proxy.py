"""Mounts the broker's refresh endpoint on the app's own origin: hands requests on and answers back unchanged.

What a reverse proxy does with one location block, for an app that has none.
"""

from __future__ import annotations

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

_HANDED_ON = ("Authorization", "Origin", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Site", "X-Request-Id")
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date"})
_NO_ANSWER = {"accessToken": "", "code": "upstream_unavailable", "title": "The broker does not answer."}


class Proxy:
    """Hands requests on to the broker's public listener."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        """Hand on a refresh."""
        return await self._hand_on(request, "/refresh")

    async def script(self, request: web.Request) -> web.StreamResponse:
        """Hand on the request for the browser helper."""
        return await self._hand_on(request, "/keep-fresh.js")

    async def _hand_on(self, request: web.Request, path: str) -> web.StreamResponse:
        headers = CIMultiDict(
            (name, value) for name in _HANDED_ON for value in request.headers.getall(name, ())
        )
        headers["X-Forwarded-For"] = request.remote or ""
        try:
            async with self._session.request(
                request.method, self._url + path, headers=headers, allow_redirects=False
            ) as answer:
                return await _handed_back(request, answer)
        except (aiohttp.ClientError, TimeoutError):
            # The browser library hangs on an answer that is not JSON.
            return web.json_response(_NO_ANSWER, status=503, headers={"Cache-Control": "no-store"})


async def _handed_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict(
        (name, value) for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION
    )
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    response.content_length = answer.content_length
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response
