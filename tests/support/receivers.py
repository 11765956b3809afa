"""A receiver of webhooks that may be away, and believes what the reference implementation verifies alone."""

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"w" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"v" * 32).decode()


@dataclass
class Receiver:
    """Where it listens, what it answers just now, and what it has been sent."""

    url: str = ""
    status: int = 204
    headers: dict = field(default_factory=dict)
    secret: str = SECRET
    refuses: object = None
    """Whether it refuses this message, whatever it answers to others."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set nothing is answered."""
    forgets: bool = False
    """Whether it forgets what it could not answer at once."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list = field(default_factory=list)
    """Every message as it came: (headers, body)."""
    tries: list = field(default_factory=list)
    """The id of every message that came, taken or not."""
    taken: list = field(default_factory=list)
    """Every message that it said it has: (id, message)."""

    async def post(self, request):
        body = await request.read()
        message = Webhook(self.secret).verify(body, dict(request.headers))
        self.heard.append((dict(request.headers), body))
        self.tries.append(request.headers["webhook-id"])
        self.came.set()
        late = not self.gate.is_set()
        await self.gate.wait()
        if late and self.forgets:
            return web.Response(status=503)
        if self.refuses is not None and self.refuses(message):
            return web.Response(status=400)
        if self.status < 300:
            self.taken.append((request.headers["webhook-id"], message))
        return web.Response(status=self.status, headers=self.headers)

    def of(self, user_id):
        """What it has been told of a user, in the order in which it came."""
        return [message for _, message in self.taken if message["data"].get("userId") == user_id]

    def types(self, user_id=None):
        """The types of it."""
        return [message["type"] for message in (self.of(user_id))]


@asynccontextmanager
async def receiving(port=0):
    """Run a receiver that is there at once."""
    receiver = Receiver()
    receiver.gate.set()
    app = web.Application()
    app.router.add_post("/hooks", receiver.post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()
