"""A world's broker behind its real doors: what a page, a service and a probe see of it over HTTP.

async with served(world) as house:
    status, body = await house.refresh(token)
"""

import asyncio
import re
from contextlib import asynccontextmanager

import aiohttp

from service.api.serve import open_doors
from service.api.sockets import INTERNAL, OBSERVE, PUBLIC
from service.callers import open_means
from service.listening import bind_all
from service.metrics import Metrics, Telemetry
from service.readiness import readiness_of
from service.serving import doors_of
from service.sessions import open_witnesses
from tests.support.waiting import eventually

SERVICE_KEY = "backend-key"
ANYWHERE = dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0")
"""The settings with which a world can be served."""


class House:
    """The open listeners of one broker, and a client to knock with."""

    def __init__(self, listeners, http, witnesses, means):
        self._listeners = listeners
        self._http = http
        self.witnesses = witnesses
        self.means = means

    @property
    def internal_url(self):
        """Where the app's own services ask."""
        return self._url(INTERNAL, "")

    async def refresh(self, token, **headers):
        """What a page gets for the token it holds: status, body."""
        return await self._ask(PUBLIC, "GET", "/refresh", token, headers)

    async def service(self, method, path, body=None, *, key=SERVICE_KEY, tls=None, **headers):
        """What one of the app's services gets, over TLS if it has any: status, body."""
        more = {} if tls is None else {"ssl": tls}
        return await self._ask(INTERNAL, method, path, key, headers, json=body, **more)

    async def token(self, person):
        """What a service gets that asks for a user's token."""
        return await self.service("GET", f"/v1/users/{person.key.user_id}/token")

    async def alive(self):
        """Whether `/healthz` is answered on both listeners that have one."""
        answers = [await self._ask(door, "GET", "/healthz", "") for door in (PUBLIC, OBSERVE)]
        return answers == [(200, {"status": "ok"})] * 2

    async def readiness(self):
        """What `/readyz` says: its status, its word and the state of each dependency."""
        status, body = await self._ask(OBSERVE, "GET", "/readyz", "")
        return status, body["status"], body["dependencies"]

    async def degraded(self):
        """The dependencies that the metric `degraded` says are down."""
        return set(re.findall(r'degraded\{dependency="(\w+)"\} 1', await self.metrics()))

    async def is_well(self):
        """Whether no dependency is down."""
        return await self.degraded() == set()

    async def metrics(self):
        """What `/metrics` says."""
        async with self._http.get(self._url(OBSERVE, "/metrics")) as answer:
            return await answer.text()

    async def becomes_degraded(self, *dependencies):
        """Wait until the metric and `/readyz` both name these dependencies, and no others, as down."""

        async def agree():
            _, _, states = await self.readiness()
            down = {name for name, state in states.items() if state != "up"}
            return down == set(dependencies) == await self.degraded() - {"upstream"}

        await eventually(agree, within_s=20)

    async def _ask(self, door, method, path, token, more=None, **request):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more or {}
        url = self._url(door, path).replace("http:", "https:" if "ssl" in request else "http:")
        async with self._http.request(method, url, headers=headers, **request) as answer:
            return answer.status, await answer.json(content_type=None)

    def _url(self, door, path):
        return f"http://127.0.0.1:{self._listeners.open[door].port}{path}"


@asynccontextmanager
async def served(world, broker=None):
    """Open the doors of a world that was made with the settings ANYWHERE."""
    broker = broker or world.broker
    telemetry = Telemetry(Metrics())
    telemetry.tracing = world.tracing
    _let_hear(world.notes, telemetry)
    async with (
        open_witnesses(world.settings, telemetry) as witnesses,
        open_means(world.settings, telemetry) as means,
        aiohttp.ClientSession() as http,
    ):
        doors = doors_of(world.settings, broker, readiness_of(broker), telemetry, witnesses, means)
        listeners = await open_doors(doors, bind_all(world.settings), drain_s=5)
        try:
            yield House(listeners, http, witnesses, means)
        finally:
            async with asyncio.timeout(20):
                await listeners.close()


def _let_hear(notes, telemetry):
    """Have what a world's brokers note move figures as well."""
    kept = notes.note

    def note(event, key=None, **facts):
        kept(event, key, **facts)
        telemetry.note(event, key, **facts)

    notes.note = note
