"""A stampede: one user's expired token, held by many pages with open connections, over several services."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from sandbox.calcom import SandboxClient
from tests.support.environment import environment
from tests.support.programs import token_broker
from tests.support.stack import SCALED
from tests.support.waiting import eventually

PAGES = 500
UPSTREAM_TAKES_S = 0.5
CLIENT = SandboxClient("stampede", "secret")

_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE '%FROM lineage%'
"""


@asynccontextmanager
async def services_of(number, database_url, redis_url, upstream, **settings):
    """Run so many service processes and no worker; gives (public, internal) addresses of each."""
    variables = environment(
        DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=upstream.url,
        CAL_OAUTH_CLIENT_ID=CLIENT.id, X_CAL_SECRET_KEY=CLIENT.secret, PUBLIC_ADDRESS="127.0.0.1:0",
        INTERNAL_ADDRESS="127.0.0.1:0", OBSERVE_ADDRESS="127.0.0.1:0", **SCALED | settings,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        running = [token_broker("serve", variables) for _ in range(number)]
        programs = [await stack.enter_async_context(one) for one in running]
        yield [await program.said("service.started") for program in programs]


def calls_of(upstream, route, user_id=None):
    return upstream.sandbox.journal.of(route, user_id=user_id)


async def let_it_expire(database_url, upstream):
    """Put the end of every pair in the past, here and upstream."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE grants SET issued_at = issued_at - interval '2 hours', expires_at = expires_at - interval "
        "'2 hours', refresh_at = refresh_at - interval '2 hours'"
    )
    await connection.close()
    for created in calls_of(upstream, "create"):
        upstream.sandbox.expire(created.user_id)


class Page:
    """One page with an open connection; it sends its request when it is told to."""

    def __init__(self, address, token):
        url = urlsplit(f"http://{address}")
        self._host, self._port = url.hostname, url.port
        self._request = (
            f"GET /refresh HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )

    async def open(self):
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def ask(self):
        """Return the status, the body and when its last byte came (wall clock, seconds)."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        ended_at = time.time()
        self._writer.close()
        return int(head.split()[1]), body, ended_at


async def stampede(services, token):
    """Have every page ask at the same instant, each service as many; returns what they are answered."""
    pages = [Page(services[n % len(services)]["public"], token) for n in range(PAGES)]
    await asyncio.gather(*(page.open() for page in pages))
    return await asyncio.gather(*(page.ask() for page in pages))


@asynccontextmanager
async def nobody_reads_before_all_do(database_url, services):
    """Hold back every read of a grant until each service wants one, so that all go on together.

    The pages at one service share their read: when as many wait as there are services, each has one there.
    """
    connection = await asyncpg.connect(database_url)
    beside = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE grants IN ACCESS EXCLUSIVE MODE")
        yield

        async def all_wait():
            return await beside.fetchval(_WAITING) == len(services)

        await eventually(all_wait, within_s=20)
    await connection.close()
    await beside.close()


def waited_beyond(answers, refresh):
    """Return by how much the slowest but one in a hundred came after upstream's answer, in seconds."""
    return sorted(ended_at - refresh.ended_ms / 1000 for _, _, ended_at in answers)[int(PAGES * 0.99)]
