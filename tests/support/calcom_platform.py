"""A Cal.com adapter in front of a server that answers every request alike and keeps what it was asked."""

from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from service.adapters.upstream import CalcomPlatform, open_session

ACCESS, REFRESH, SECRET = "access-" + "a" * 30, "refresh-" + "r" * 30, "s3cret-of-the-client"
PAIR = {"accessToken": ACCESS, "refreshToken": REFRESH}
ANN = {"id": 7, "email": "ann+cl1@example.com", "createdDate": "2026-03-01T12:00:00.000Z"}


class Notes:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def note(self, event, key=None, **facts):
        self.heard.append((event, key, facts))


class Upstream:
    """A server that answers every request with the same JSON, and keeps the requests."""

    def __init__(self, body, status):
        self.body, self.status, self.seen = body, status, []

    async def answer(self, request):
        self.seen.append((request.method, request.raw_path, request.headers.copy(), await request.text()))
        return web.json_response(self.body, status=self.status)


def platform(session, url, observer=None, secrets=lambda: (SECRET,), timeout_s=5.0):
    return CalcomPlatform(
        session=session,
        base_url=url,
        client_id="cl1",
        secrets=secrets,
        timeout_s=timeout_s,
        observer=observer or Notes(),
        client_name="main",
    )


@asynccontextmanager
async def talking(data=None, *, status=200, body=None, **rest):
    upstream = Upstream({"status": "success", "data": data} if body is None else body, status)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.answer)
    async with TestServer(app) as server, open_session() as session:
        yield platform(session, str(server.make_url("/v2")), **rest), upstream
