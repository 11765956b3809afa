"""A broker that answers as a test has written down, one answer a request; the last one stays.

async with scripted(good(), problem("storage_unavailable", 503, after=1)) as it, it.client() as broker:
    ...
"""

import asyncio
import inspect
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web
from aiohttp.test_utils import TestServer
from token_broker_client import Broker

KEY = "the-key-of-a-service"
HELD, BETTER = "held.access-token.of-a-user", "better.access-token.of-a-user"


def good(token=HELD, generation=1, life_s=3600.0, *, clock_ahead_s=0.0, **changes):
    """An answer with a token that lives so long, by the broker's own clock."""
    now = datetime.now(UTC) + timedelta(seconds=clock_ahead_s)
    body = {
        "accessToken": token,
        "accessTokenExpiresAt": int((now.timestamp() + life_s) * 1000),
        "calUserId": 7,
        "generation": generation,
        **changes,
    }
    return lambda _: web.json_response(body, headers={"Date": format_datetime(now, usegmt=True)})


def problem(code, status, after=None, **more):
    """An answer without a token, as the broker gives it."""
    headers = {} if after is None else {"Retry-After": str(after)}
    body = {"type": "about:blank", "status": status, "detail": "It says why.", "code": code, **more}
    return lambda _: web.json_response(
        body, status=status, headers=headers, content_type="application/problem+json"
    )


def raw(text, status=200, content_type="text/html", **headers):
    """Anything else."""
    return lambda _: web.Response(text=text, status=status, content_type=content_type, headers=headers)


def hang_up(request):
    """Close the connection without an answer: the request was heard."""
    request.transport.abort()
    return web.Response()


async def break_off(request):
    """End the connection amid the body."""
    response = web.StreamResponse(headers={"Content-Length": "5000"})
    await response.prepare(request)
    await response.write(b'{"accessToken": "')
    request.transport.abort()
    return response


def silence(_):
    """Never answer."""
    return


class Scripted:
    """The broker, and what it was asked."""

    def __init__(self, answers):
        self._answers = list(answers)
        self.asked = []
        self.bearers = []
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def answer(self, request):
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, body))
        self.bearers.append(request.headers.get("Authorization"))
        await self.open.wait()
        make = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        made = make(request)
        made = await made if inspect.isawaitable(made) else made
        return made if made is not None else await asyncio.Event().wait()

    def client(self, **how):
        """A client of this broker that keeps nothing, unless told to."""
        return Broker(self.url, KEY, **{"timeout_s": 5.0, "keep_s": 0.0, **how})

    @property
    def methods(self):
        return [method for method, *_ in self.asked]


@asynccontextmanager
async def scripted(*answers):
    """Serve these answers."""
    it = Scripted(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.answer)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        it.url = str(server.make_url("")).rstrip("/")
        yield it
