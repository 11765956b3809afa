"""Callers of several replicas: an open page that keeps its token fresh, and a service of the app.

Each asks one replica, and another one once when the connection is refused or breaks: as a proxy would.
"""

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.support.stack import API_KEY

PATIENCE_S = 60


@dataclass
class Heard:
    """What the callers were answered."""

    answers: int = 0
    retried: int = 0
    failures: list = field(default_factory=list)


class Callers:
    """Everybody who asks these replicas; `usable` says whether upstream takes a token now."""

    def __init__(self, http, replicas, usable):
        self.heard = Heard()
        self._http = http
        self._replicas = replicas
        self._usable = usable

    async def browse(self, token):
        """Be a page: ask for the next token when the one held has about half or a third of its life left."""
        held, ends_at, life_s = token["accessToken"], token["accessTokenExpiresAt"] / 1000, None
        while True:
            life_s = max(life_s or 0.0, ends_at - time.time())
            await asyncio.sleep(max(0.2, ends_at - time.time() - life_s * random.uniform(0.3, 0.5)))
            answer = await self._ask("public", "/refresh", held)
            if answer is not None:
                held, ends_at = answer["accessToken"], answer["accessTokenExpiresAt"] / 1000

    async def serve(self, user_id, every_s):
        """Be a service: ask for the user's token by the user's id, again and again."""
        while True:
            await self.token(user_id)
            await asyncio.sleep(every_s * random.uniform(0.5, 1.5))

    async def token(self, user_id):
        """Ask for the user's token once; returns the answer, None when it is no good one."""
        return await self._ask("internal", f"/v1/users/{user_id}/token", API_KEY)

    async def create(self, user_id):
        """Have the app create a user; the same call again, after a broken connection, finds the same user."""
        request = {"method": "POST", "json": a_user(user_id)}
        status, body = await self._answer("internal", "/v1/users", API_KEY, **request)
        if status not in (200, 201):
            self.heard.failures.append(("create", user_id, status, body))

    async def _ask(self, door, path, bearer):
        """Return the answer, or note a failure: no good answer, or a token that upstream refuses."""
        status, body = await self._answer(door, path, bearer)
        good = status == 200 and self._usable(body["accessToken"])
        if not good:
            self.heard.failures.append((door, path, status, body))
        return body if good else None

    async def _answer(self, door, path, bearer, **request):
        """Return status and body of the answer of one replica, or of the other where the first is gone."""
        first, second = random.sample(self._replicas, 2)
        try:
            try:
                answered = await self._send(getattr(first, door), path, bearer, **request)
            except aiohttp.ClientConnectionError:
                self.heard.retried += 1
                answered = await self._send(getattr(second, door), path, bearer, **request)
        except (aiohttp.ClientError, TimeoutError) as error:
            return None, repr(error)
        self.heard.answers += 1
        return answered

    async def _send(self, address, path, bearer, method="GET", **request):
        headers = {"Authorization": f"Bearer {bearer}"}
        async with self._http.request(
            method, f"http://{address}{path}", headers=headers, **request
        ) as answer:
            return answer.status, await answer.json(content_type=None)


@asynccontextmanager
async def calling(replicas, usable):
    """Give Callers whose every request is a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield Callers(http, replicas, usable)


@asynccontextmanager
async def meanwhile(*work):
    """Keep these going while the block runs; what goes wrong in one of them fails the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()


def a_user(user_id):
    """What the app says of a user of this id."""
    return {"id": user_id, "email": f"{user_id}@example.com", "name": user_id.title()}


async def create_user(internal, user_id):
    """Have a service create a managed user; returns it."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with (
        aiohttp.ClientSession(f"http://{internal}", headers=headers) as http,
        http.post("/v1/users", json=a_user(user_id)) as created,
    ):
        assert created.status == 201
        return await created.json()


async def token_of(internal, user_id):
    """Ask a service for a user's current token."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with (
        aiohttp.ClientSession(f"http://{internal}", headers=headers) as http,
        http.get(f"/v1/users/{user_id}/token") as answer,
    ):
        return (await answer.json())["accessToken"]
