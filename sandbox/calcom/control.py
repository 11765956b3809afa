"""The sandbox's switches over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from sandbox.calcom.sandbox import Sandbox


class Control:
    """Doors under /_sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Add the doors."""
        app.router.add_get("/_sandbox/counts", self._counts)

    async def _counts(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(self._sandbox.counts())
