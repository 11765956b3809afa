"""The page's doors: files, the refresh endpoint on the page's own origin, buttons, the live feed.

They hand out tokens of the demo's user, so they answer this machine's own browser only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.calcom import identifier
from sandbox.demo.backend import BrokerRefused
from sandbox.demo.notes import Note
from sandbox.demo.stampede import stampede
from sandbox.demo.trouble import TROUBLE
from sandbox.dev.environment import CLIENT_ID

if TYPE_CHECKING:
    from sandbox.demo.app import Demo

_STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = "default-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
_SEVERAL = 3
_PAGE = "/"
_OURS = ("/demo/", "/api/cal/", "/keep-fresh.js")
REFRESH_PATH = "/api/cal/refresh"
_NOT_UP = {"accessToken": "", "code": "upstream_unavailable", "title": "The broker is still starting."}


def mount(demo: Demo, app: web.Application) -> None:
    """Add the demo's page and its doors to an app, whatever else that serves."""
    doors = Doors(demo)
    app.router.add_routes(doors.routes())
    app.middlewares.append(doors.guard)


class Doors:
    """The routes of one demo."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._hosts = frozenset(f"{host}:{demo.plan.ports.demo}" for host in ("127.0.0.1", "localhost"))

    def routes(self) -> list[web.RouteDef]:
        """Return everything but the page itself, which `guard` serves where an app has a root of its own."""
        files = [web.get(f"/demo/{file.name}", self._file(file)) for file in sorted(_STATIC.iterdir())]
        return [
            *files,
            web.get(REFRESH_PATH, self._refresh),
            web.get("/keep-fresh.js", self._script),
            web.get("/demo/state", _said(self._state)),
            web.get("/demo/events", self._demo.feed.stream),
            web.get("/demo/call", _said(self._call)),
            web.post("/demo/session", _said(self._session)),
            web.post("/demo/rotate", _said(self._rotate)),
            web.post("/demo/stampede", _said(self._stampede)),
            web.post("/demo/trouble", _said(self._trouble)),
        ]

    @property
    def guard(self) -> Middleware:
        """The middleware that serves the page and keeps other sites away from its doors."""
        page = self._file(_STATIC / "index.html")

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == _PAGE and request.method == "GET":
                handler = page
            elif not request.path.startswith(_OURS):
                return await handler(request)
            if not self._from_here(request):
                return web.json_response({"error": "This page answers its own machine only."}, status=403)
            return await handler(request)

        return guard

    def _from_here(self, request: web.Request) -> bool:
        """Whether a browser asks us by our own name (no rebound one), and from no other site."""
        origin = request.headers.get("Origin")
        own = {None, *(f"http://{host}" for host in self._hosts)}
        return request.host in self._hosts and origin in own

    def _file(self, file: Path) -> Handler:
        content = file.read_bytes()

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(
                body=content,
                content_type=_TYPES[file.suffix],
                charset="utf-8",
                headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY},
            )

        return answer

    async def _refresh(self, request: web.Request) -> web.StreamResponse:
        proxy = self._demo.proxy
        return web.json_response(_NOT_UP, status=503) if proxy is None else await proxy.refresh(request)

    async def _script(self, request: web.Request) -> web.StreamResponse:
        proxy = self._demo.proxy
        return web.json_response(_NOT_UP, status=503) if proxy is None else await proxy.script(request)

    async def _state(self, _: web.Request) -> dict[str, Any]:
        plan, demo = self._demo.plan, self._demo
        return {
            "ready": demo.backend is not None,
            "sandbox": demo.sandbox is not None,
            "api": plan.real.api_url if plan.real else "/v2",
            "lifetimeS": plan.lifetime_s,
            "marginS": plan.margin_s,
            "internal": demo.broker.shown_url,
            "public": demo.broker.public_url,
        }

    async def _call(self, request: web.Request) -> dict[str, Any]:
        """Call Cal.com for a page, with its token: from here, so that no origin need be registered there."""
        return {"status": await self._demo.call_api(request.headers.get("Authorization", ""))}

    async def _session(self, _: web.Request) -> dict[str, Any]:
        held = await self._demo.enter()
        return {name: held[name] for name in ("accessToken", "accessTokenExpiresAt")}

    async def _rotate(self, request: web.Request) -> dict[str, Any]:
        times = _SEVERAL if "several" in request.query else 1
        for _ in range(times):
            held = await self._demo.working().rotate(self._demo.user_id)
        return {"rotated": times, "current": identifier(held["accessToken"])}

    async def _stampede(self, _: web.Request) -> dict[str, Any]:
        demo, backend = self._demo, self._demo.working()
        if demo.sandbox is None:
            raise BrokerRefused(409, "only with the sandbox")
        return await stampede(demo.sandbox, CLIENT_ID, backend, f"{demo.broker.public_url}/refresh")

    async def _trouble(self, request: web.Request) -> dict[str, Any]:
        demo, kind = self._demo, request.query.get("kind", "")
        make = TROUBLE.get(kind)
        if demo.sandbox is None or make is None or demo.cal_user_id is None:
            raise BrokerRefused(409, "only with the sandbox, and once the page's user exists")
        if not make(demo.sandbox, demo.cal_user_id):
            return {"made": kind}
        demo.feed.add(Note("demo", f"trouble.{kind}", "Trouble is set up; now asking for a new pair"))
        try:
            await demo.working().rotate(demo.user_id)
        except BrokerRefused as refused:
            return {"made": kind, "answer": str(refused)}
        return {"made": kind, "answer": "replaced"}


def _said(handler: Callable[[web.Request], Awaitable[dict[str, Any]]]) -> Handler:
    """Return the handler with its answer as JSON, and the broker's refusal as what it is."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            body, status = await handler(request), 200
        except BrokerRefused as refused:
            body, status = {"error": str(refused)}, refused.status
        return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})

    return answer
