"""Everybody asks at once: 500 pages with one expired token, over two service processes, one upstream call."""

import asyncio
import time
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest
import redis.asyncio as redis

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.support.environment import environment
from tests.support.programs import token_broker
from tests.support.stack import API_KEY, SCALED

PAGES = 500
UPSTREAM_TAKES_S = 0.5
AT_MOST_S = 0.25
CLIENT = SandboxClient("stampede", "secret")


@asynccontextmanager
async def two_services(database_url, redis_url, upstream):
    """Run two service processes and no worker; gives (public, internal) addresses of each."""
    variables = environment(
        DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=upstream.url,
        CAL_OAUTH_CLIENT_ID=CLIENT.id, X_CAL_SECRET_KEY=CLIENT.secret, PUBLIC_ADDRESS="127.0.0.1:0",
        INTERNAL_ADDRESS="127.0.0.1:0", OBSERVE_ADDRESS="127.0.0.1:0", **SCALED,
    )  # fmt: skip
    async with token_broker("serve", variables) as one, token_broker("serve", variables) as two:
        yield [await service.said("service.started") for service in (one, two)]


async def token_of_a_new_user(internal):
    headers = {"Authorization": f"Bearer {API_KEY}"}
    body = {"id": "ann", "email": "ann@example.com", "name": "Ann"}
    async with aiohttp.ClientSession(f"http://{internal}", headers=headers) as http:
        async with http.post("/v1/users", json=body) as created:
            assert created.status == 201
        async with http.get("/v1/users/ann/token") as answer:
            return (await answer.json())["accessToken"]


def calls_of(upstream, route):
    return [call for call in upstream.sandbox.journal if call.route == route]


async def let_it_expire(database_url, redis_url, upstream):
    """Put the pair's end in the past, here and upstream, and leave no cached answer."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE grants SET issued_at = issued_at - interval '2 hours', expires_at = expires_at - interval "
        "'2 hours', refresh_at = refresh_at - interval '2 hours'"
    )
    await connection.close()
    async with redis.from_url(redis_url) as client:
        await client.flushall()
    upstream.sandbox.expire(calls_of(upstream, "create")[0].user_id)


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


@pytest.mark.timeout(90)
async def test_five_hundred_pages_of_one_user_cost_one_refresh_and_wait_for_nothing_else(
    database_url, redis_url
):
    async with serve(SandboxConfig(clients=(CLIENT,), throttle=False)) as upstream:
        async with two_services(database_url, redis_url, upstream) as services:
            token = await token_of_a_new_user(services[0]["internal"])
            await let_it_expire(database_url, redis_url, upstream)
            upstream.sandbox.fault("delay_before", "refresh", delay_s=UPSTREAM_TAKES_S)
            pages = [Page(services[n % 2]["public"], token) for n in range(PAGES)]
            await asyncio.gather(*(page.open() for page in pages))

            answers = await asyncio.gather(*(page.ask() for page in pages))

        refreshes = calls_of(upstream, "refresh")
        assert len(refreshes) == 1
        assert {status for status, _, _ in answers} == {200}
        assert len({body for _, body, _ in answers}) == 1
        beyond_s = sorted(ended_at - refreshes[0].ended_ms / 1000 for _, _, ended_at in answers)
        assert beyond_s[int(PAGES * 0.99)] < AT_MOST_S, f"p99 {beyond_s[int(PAGES * 0.99)]:.3f} s"
