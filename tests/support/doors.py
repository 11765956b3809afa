"""The doors for tests: real listeners on free ports, with small use cases behind them that obey the test."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
from yarl import URL

from service.api.doors import ClientDoor, Doors
from service.api.serve import open_doors
from service.api.sockets import bind
from service.broker.errors import TokenUnknown
from service.broker.model import (
    Binding,
    CurrentToken,
    Event,
    Grant,
    GrantState,
    Profile,
    TokenPair,
    User,
    UserKey,
)
from service.broker.overview import Sight

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = UserKey("acme", "u-1")
HELD = "held-token." + "h" * 40
CURRENT = "current-token." + "c" * 40
SECRET = "refresh-token." + "r" * 40
ORIGIN = "https://app.example.com"


def current_token(key=KEY, token=CURRENT):
    hour = timedelta(hours=1)
    return CurrentToken(key, "7", 5, token, NOW, NOW + hour, NOW + hour / 2, Binding(NOW))


def user(key=KEY, **changes):
    pair = TokenPair(CURRENT, SECRET, NOW, NOW + timedelta(hours=1), NOW + timedelta(minutes=50))
    grant = Grant(key, "7", GrantState.LIVE, "created", 5, pair, Binding(NOW))
    profile = Profile("ann@example.com", "Ann", metadata={"plan": "pro"})
    return replace(User(key, profile, NOW, "7", None, grant), **changes)


class Script:
    """Records calls; what is set under a name is returned, raised, or awaited first (an Event)."""

    def __init__(self, **results):
        self.results = results
        self.calls = []
        self.addresses = []
        self.called = asyncio.Event()

    async def play(self, name, *facts):
        self.calls.append((name, *facts))
        self.called.set()
        result = self.results.get(name)
        if isinstance(result, asyncio.Event):
            await result.wait()
            result = self.results.get(f"{name}_after")
        if isinstance(result, BaseException):
            raise result
        return result


class AnswersScript(Script):
    async def for_browser(self, access_token, admit=None, *, address=None):
        self.addresses.append(address)
        answer = await self.play("for_browser", access_token)
        if answer is None and access_token != HELD:
            raise TokenUnknown
        if admit is not None:
            await admit(KEY)
        return answer or current_token()

    async def for_service(self, key, *, min_ttl_s, vouch):
        return await self.play("for_service", key, min_ttl_s, vouch) or current_token(key)

    async def complain(self, key, refused, *, actor):
        return await self.play("complain", key, refused, actor) or current_token(key)

    async def rotate(self, key, *, force, actor):
        return await self.play("rotate", key, force, actor) or current_token(key)


class UsersScript(Script):
    async def create(self, key, profile, *, vouch, actor):
        return await self.play("create", key, profile, actor) or (user(key), True)

    async def enrol(self, key, enrolment, *, replace, vouch, actor):
        return await self.play("enrol", key, enrolment, replace, actor) or user(key)

    async def recover(self, key, upstream_id, email, *, vouch, actor):
        return await self.play("recover", key, upstream_id, email, actor) or user(key)

    async def page(self, query):
        return await self.play("page", query) or []

    async def read(self, key):
        return await self.play("read", key) or user(key)

    async def change(self, key, change, *, actor):
        return await self.play("change", key, change.fields, actor) or user(key)

    async def delete(self, key, *, actor):
        await self.play("delete", key, actor)

    async def revoke(self, key, *, actor):
        return await self.play("revoke", key, actor) or user(key)

    async def pause(self, key, *, actor):
        return await self.play("pause", key, actor) or user(key)

    async def resume(self, key, *, actor):
        return await self.play("resume", key, actor) or user(key)

    async def events(self, key, query):
        happened = Event(NOW, "refresh.rotated", 5, trigger="ahead", id=UUID(int=1))
        return await self.play("events", key, query) or [happened]


class OverviewScript(Script):
    async def look(self, client):
        return await self.play("look", client) or Sight(None, None, None, None)

    async def history(self, client, span, step):
        return await self.play("history", client, span, step) or []

    async def troubled(self, query):
        return await self.play("troubled", query) or []


class Notes:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def note(self, event, key=None, **facts):
        self.heard.append((event, key, facts))

    def of(self, event):
        return [facts | {"key": key} for heard, key, facts in self.heard if heard == event]


@dataclass
class Ready:
    draining: bool = False
    begun: bool = True
    behind: bool = False
    states: dict = field(default_factory=lambda: {"postgres": "up", "redis": "up"})

    async def dependencies(self):
        return self.states


@dataclass(frozen=True)
class Key:
    name: str
    digest: bytes
    scopes: frozenset
    clients: frozenset | None = None


def api_key(name, *scopes, clients=None):
    """A key whose secret is its name with `-key` after it."""
    digest = hashlib.sha256(f"{name}-key".encode()).digest()
    return Key(name, digest, frozenset(scopes), clients and frozenset(clients))


ALL_BUT_ADMIN = ("users:read", "users:write", "tokens:read", "vouch")


@dataclass
class House:
    """The open listeners, what stands behind them, and a client to knock with."""

    answers: AnswersScript
    users: UsersScript
    notes: Notes
    ready: Ready
    session: aiohttp.ClientSession
    listeners: object
    overview: OverviewScript

    def url(self, listener, path=""):
        return f"http://127.0.0.1:{self.listeners.open[listener].port}{path}"

    def port(self, listener):
        return self.listeners.open[listener].port

    def refresh(self, token=HELD, path="/refresh", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url("public", path), encoded=True)
        return self.session.get(url, headers={"Authorization": f"Bearer {token}"} | named)

    def call(self, method, path, key="app-key", **request):
        headers = {"Authorization": f"Bearer {key}"} | request.pop("headers", {})
        url = self.url("internal", path)
        return self.session.request(method, URL(url, encoded=True), headers=headers, **request)


@dataclass(frozen=True)
class _Anywhere:
    host: str = "127.0.0.1"
    port: int = 0


@asynccontextmanager
async def open_house(
    *, answers=None, users=None, ready=None, overview=None, drain_s=5, hears=None, **settings
):
    """Open the three listeners, which take `drain_s` to close at most; `settings` are fields of Doors.

    `hears` is told in place of the house's own notes.
    """
    scripts = (answers or AnswersScript(), users or UsersScript(), Notes(), ready or Ready())
    house = House(*scripts, None, None, overview or OverviewScript())
    defaults = {
        "clients": [ClientDoor("acme", frozenset({ORIGIN}), email_suffix=26)],
        "api_keys": lambda: [api_key("app", *ALL_BUT_ADMIN), api_key("root", "admin"), api_key("none")],
        "render_metrics": lambda: b"up 1\n",
    }
    doors = Doors(
        answers=house.answers,
        users=house.users,
        observer=hears or house.notes,
        readiness=house.ready,
        overview=house.overview,
        **(defaults | settings),
    )
    sockets = {name: bind(_Anywhere()) for name in ("public", "internal", "observe")}
    house.listeners = await open_doors(doors, sockets, drain_s=drain_s)
    async with aiohttp.ClientSession() as house.session:
        try:
            yield house
        finally:
            await house.listeners.close()
