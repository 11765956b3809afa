"""An app that says who is signed in: `/session` by its cookie, `/jwks.json` its keys; obeys the test.

async with an_app() as app:
    cookie = app.cookie_of("ann")
"""

import asyncio
import secrets
from contextlib import asynccontextmanager

from aiohttp import web

from tests.support.statements import key_set, public


class App:
    """Knows its sessions, and keeps the headers of whoever asks."""

    def __init__(self):
        self.sessions = {}
        self.headers = []
        self.answer = None
        self.gate = None
        self.keys = key_set(public("ed"))
        self.url = ""
        self._asked = asyncio.Condition()

    @property
    def check_url(self):
        return f"{self.url}/session"

    @property
    def jwks_url(self):
        return f"{self.url}/jwks.json"

    def cookie_of(self, user_id):
        """Sign somebody in; returns the cookies their browser has from then on."""
        session = secrets.token_urlsafe(24)
        self.sessions[session] = user_id
        return f"theme=dark; session={session}"

    def hold(self):
        """Answer nobody until the returned event is set."""
        self.gate = asyncio.Event()
        return self.gate

    async def asked(self, times=1):
        """Wait until it was asked so often in all."""
        async with asyncio.timeout(10), self._asked:
            await self._asked.wait_for(lambda: len(self.headers) >= times)

    async def session(self, request):
        async with self._asked:
            self.headers.append(request.headers.copy())
            self._asked.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        if self.answer is not None:
            return self.answer()
        user_id = self.sessions.get(request.cookies.get("session"))
        if user_id is None:
            return web.json_response({"error": "nobody"}, status=401)
        return web.json_response({"id": user_id, "name": "of no interest"})

    async def jwks(self, _):
        return web.json_response(self.keys)


@asynccontextmanager
async def an_app():
    """Run such an app on a free port."""
    app = App()
    web_app = web.Application()
    web_app.router.add_get("/session", app.session)
    web_app.router.add_get("/jwks.json", app.jwks)
    runner = web.AppRunner(web_app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    app.url = f"http://{host}:{port}"
    try:
        yield app
    finally:
        if app.gate is not None:
            app.gate.set()
        await runner.cleanup()
