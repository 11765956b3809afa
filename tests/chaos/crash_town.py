"""Where the crash matrix plays: one upstream, one PostgreSQL, one Valkey, and processes that nothing befalls.

Each case has an OAuth client of its own with a single user, so that a process told of that client alone
meets nobody else's work.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import redis.asyncio

from sandbox.calcom import Running, SandboxClient, SandboxConfig, identifier, serve
from service.adapters.cache_values import Values, hashed, name_of_user
from service.broker.model import UserKey
from tests.chaos.crash_history import History
from tests.support.environment import environment
from tests.support.programs import started

API_KEY = "backend-key"
START_WITHIN_S = 90.0
LIFETIME_S = 600
STALE_AT_S, DEAD_AT_S = 330, 630
CLAIM_S, UPSTREAM_S, WINDOW_S = 5.5, 2.5, 3.0
SETTINGS = {
    "UPSTREAM_TIMEOUT": f"{UPSTREAM_S}s",
    "DATABASE_TIMEOUT": "2s",
    "LEASE_TTL": f"{CLAIM_S}s",
    "CLAIM_DEADLINE": f"{CLAIM_S}s",
    "ANSWER_TIMEOUT": "12s",
    "PUBLIC_ANSWER_TIMEOUT": "12s",
    "DISTRUST_WINDOW": f"{WINDOW_S}s",
    "DRAIN": "15s",
    "GRACE": "20s",
    "ACCESS_TOKEN_LIFETIME": f"{LIFETIME_S}s",
    "AHEAD": "all",
    "USER_ROTATIONS": "0",
    "ADDRESS_FAILURES": "0",
    "PUBLIC_ADDRESS": "127.0.0.1:0",
    "INTERNAL_ADDRESS": "127.0.0.1:0",
    "OBSERVE_ADDRESS": "127.0.0.1:0",
}


@dataclass(frozen=True)
class Answer:
    """What a client asked and was answered, as the client saw it; status 0 when the connection broke."""

    by: str
    started_ms: float
    ended_ms: float
    status: int
    token: str | None = None

    @property
    def handed_out(self):
        """The identifier of the access token that was handed out, or None."""
        return identifier(self.token) if self.status == 200 else None


@dataclass(frozen=True)
class Door:
    """A service's two listeners, as a client reaches them."""

    name: str
    public_url: str
    internal_url: str
    http: aiohttp.ClientSession

    async def browser(self, token):
        """Ask with a token that was refused."""
        headers = {"Authorization": f"Bearer {token}"}
        return await self._ask("GET", f"{self.public_url}/refresh", headers=headers)

    async def backend(self, name):
        """Ask for a user's token by its id."""
        url = f"{self.internal_url}/v1/users/{name}/token"
        return await self._ask("GET", url, params={"client": name}, headers=_KEY)

    async def enrol(self, name, pair):
        """Hand a user's pair over."""
        url = f"{self.internal_url}/v1/users/{name}/tokens"
        async with self.http.put(url, params={"client": name}, headers=_KEY, json=pair) as answer:
            assert answer.status in {200, 201}, await answer.text()

    async def _ask(self, method, url, **request):
        started_ms, status, token = time.time() * 1000, 0, None
        try:
            async with self.http.request(method, url, **request) as answer:
                body = await answer.json(content_type=None)
                status, token = answer.status, body.get("accessToken")
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            pass
        return Answer(self.name, started_ms, time.time() * 1000, status, token)


_CLIENT = '[[clients]]\nname = "{name}"\nid = "{name}"\nsecret = "of-{name}"\n'
_KEY = {"Authorization": f"Bearer {API_KEY}"}


@dataclass(frozen=True)
class Person:
    """A case's user: its name here, its id upstream, and the pair it came with."""

    name: str
    upstream_id: int
    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class Land:
    """Where processes of a town are started: what each of them is told."""

    variables: dict[str, str]
    folder: Path
    http: aiohttp.ClientSession

    async def start(self, command, clients, **chaos):
        """Start a process that knows these clients and suffers this; returns its Program."""
        name = clients[0] if len(clients) == 1 else f"{len(clients)}-from-{clients[0]}"
        file = self.folder / f"{name}.toml"
        file.write_text("".join(_CLIENT.format(name=each) for each in clients))
        variables = {**self.variables, "TOKEN_BROKER_CLIENTS_FILE": str(file), "CHAOS": json.dumps(chaos)}
        return await started(command, variables, "tests.chaos.faulty")

    async def door(self, service, name):
        """Return the listeners of a service once it listens, under a name for what is seen there."""
        where = await service.said("service.started", START_WITHIN_S)
        return Door(name, f"http://{where['public']}", f"http://{where['internal']}", self.http)


@dataclass(frozen=True)
class Town:
    """Everything that stands while cases are played."""

    upstream: Running
    land: Land
    history: History
    redis: redis.asyncio.Redis
    healthy: Door

    @property
    def sandbox(self):
        """The upstream's inside: its rows, journal, clock and gates."""
        return self.upstream.sandbox

    def release(self, name):
        """Let the healthy worker work for a client from now on."""
        (self.land.folder / name).touch()

    async def settle_in(self, case):
        """Have the case's user upstream with a pair as old as the case wants it, and enrolled here."""
        sandbox, age_s = self.sandbox, STALE_AT_S if case.alive else DEAD_AT_S
        sandbox.advance(-age_s)
        user, pair = sandbox.create_user(case.client, f"{case.client}@example.com")
        sandbox.advance(age_s)
        access, refresh = pair.access.secret, pair.refresh.secret
        if case.forces:
            assert sandbox.kill_refresh(refresh)
        enrolment = {"calUserId": user.id, "accessToken": access, "refreshToken": refresh}
        await self.healthy.enrol(case.client, enrolment)
        return Person(case.client, user.id, access, refresh)

    async def leases_of(self, names):
        """Return how many leases of these cases' users are held."""
        return await self.redis.exists(*(f"tb:l:{hashed(UserKey(name, name))}" for name in names))

    async def cached(self, name):
        """Return the generation and the access token that stand in the cache for a case's user, or None."""
        key = UserKey(name, name)
        value = await self.redis.get(name_of_user(key))
        if value is None:
            return None
        current = Values(self.history.vault).read_user(key, value)
        return current.generation, identifier(current.access_token)


@asynccontextmanager
async def open_town(database_url, redis_url, names):
    """Open a town for the cases of these names; what nothing befalls runs until its end."""
    clients = tuple(SandboxClient(name, f"of-{name}") for name in names)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        config = SandboxConfig(clients, lifetime_s=LIFETIME_S, throttle=False)
        upstream = await enter(serve(config))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="token-broker-")))
        http = await enter(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        stores = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "CAL_API_URL": upstream.url}
        none = {"CAL_OAUTH_CLIENT_ID": None, "X_CAL_SECRET_KEY": None}
        land = Land(environment(**stores, **none, **SETTINGS), folder, http)
        history = await enter(History.open(database_url))
        valkey = await enter(redis.asyncio.Redis.from_url(redis_url))
        service = await _start(land, stack, "serve", names)
        worker = await _start(land, stack, "work", names, own_ticks=True, rests=str(folder))
        await worker.said("worker.started", START_WITHIN_S)
        yield Town(upstream, land, history, valkey, await land.door(service, "healthy"))


async def _start(land, stack, command, names, **chaos):
    program = await land.start(command, names, **chaos)
    stack.push_async_callback(program.kill)
    stack.push_async_callback(program.end)
    return program
