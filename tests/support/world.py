"""The whole broker inside a test: real PostgreSQL and Valkey, the strict stand-in, the real wiring.

Each broker of a world is what one process would hold; they share nothing but the two stores. Time passes
when a test says so (`later`): every stored instant goes back, here and in the stand-in, and what the caches
hold is dropped, so that nothing waits for a token to end.
"""

from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
from redis.asyncio import Redis

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from sandbox.calcom.tally import Tally
from service.adapters.near import NearCache
from service.broker.model import Enrolment, Profile, UserKey
from service.settings import load_settings
from service.tracing import start_tracing
from service.wiring import open_broker
from tests.support.cached import Notes
from tests.support.environment import environment

SCALED = {
    "UPSTREAM_TIMEOUT": "2s",
    "DATABASE_TIMEOUT": "2s",
    "LEASE_TTL": "5s",
    "CLAIM_DEADLINE": "5s",
    "ANSWER_TIMEOUT": "5s",
    "PUBLIC_ANSWER_TIMEOUT": "10s",
    "DRAIN": "12s",
    "GRACE": "15s",
    "USER_ROTATIONS": "0",
}
A_CLAIM_S = 6
"""Longer than a claim holds."""
A_BACK_OFF_S = 45
"""Longer than a grant is left alone after its first failure."""
DRAIN_S = 5.0
NEAR_LIFE_S = 0.2

_INSTANTS = {
    "users": "created_at vouched_at refreshed_at intent_begun_at intent_at",
    "grants": "issued_at expires_at refresh_at refresh_token_expires_at first_used_at claimed_at"
    " distrusted_until retry_at last_error_at due_at",
    "lineage": "counts_until",
    "audit_events": "at last_at",
}
_FORGOTTEN = ("tb:u:*", "tb:t:*", "tb:c:*")


class Heard(Notes):
    """An observer that keeps what it hears, and can be waited for."""

    def __init__(self):
        super().__init__()
        self._tallies = defaultdict(Tally)

    def note(self, event, key=None, **facts):
        super().note(event, key, **facts)
        self._tallies[event].add()

    async def hears(self, event, count=1):
        """Wait until it has heard so many of these events in all."""
        await self._tallies[event].reached(count, 10.0)


class Person:
    """One user of the app under one client, and what upstream was asked about it."""

    def __init__(self, world, key, upstream_id):
        self.world = world
        self.key = key
        self.upstream_id = upstream_id
        self._after = len(world.sandbox.journal)

    async def token(self, broker=None, *, min_ttl=None):
        """The access token a background service is given; from then on the pair is a used one."""
        answers = (broker or self.world.broker).answers
        return (await answers.for_service(self.key, min_ttl_s=min_ttl, vouch=False)).access_token

    async def rotate(self, broker=None, *, force=False):
        """The access token of a pair that replaces the current one now."""
        answers = (broker or self.world.broker).answers
        return (await answers.rotate(self.key, force=force, actor="test")).access_token

    async def grant(self):
        """The grant as it stands in the database, tokens opened; None without one."""
        return await self.world.ports.grants.load(self.key)

    async def tokens(self):
        """The current access and refresh token, without giving them to anybody."""
        pair = (await self.grant()).pair
        return pair.access_token, pair.refresh_token

    async def lose_refresh_token(self):
        """Let upstream forget the current refresh token."""
        assert self.world.sandbox.kill_refresh((await self.tokens())[1])

    async def set(self, **columns):
        """Write columns of the grant's row behind the broker's back."""
        named = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, start=3))
        where = "WHERE client = $1 AND user_id = $2"
        values = (self.key.client, self.key.user_id, *columns.values())
        await self.world.sql(f"UPDATE grants SET {named} {where}", *values)

    def calls(self, route=None):
        """The routes of the calls about this user since it was made here, oldest first."""
        entries = list(self.world.sandbox.journal)[self._after :]
        ours = [e.route for e in entries if e.user_id == self.upstream_id and "." not in e.route]
        return ours if route is None else [one for one in ours if one == route]

    def forget_calls(self):
        """Count calls from here on."""
        self._after = len(self.world.sandbox.journal)


class World:
    """A stand-in, two stores and the brokers on them."""

    def __init__(self, upstream, stop_upstream, env, stack):
        self.sandbox = upstream.sandbox
        self.stop_upstream = stop_upstream
        self.notes = Heard()
        self.settings = load_settings(env)
        self._env = env
        self.brokers = []
        self.tracing = None
        self._stack = stack

    @property
    def broker(self):
        """The first of the brokers."""
        return self.brokers[0]

    @property
    def ports(self):
        """What the first broker reaches the world through."""
        return self.broker.answers._ports

    async def open_broker(self, **changes):
        """Start what another process would hold; `changes` are settings of its own."""
        changed = {f"TOKEN_BROKER_{name}": value for name, value in changes.items()}
        settings = load_settings(self._env | changed)
        broker = await self._stack.enter_async_context(open_broker(settings, self.notes, self.tracing))
        self._stack.push_async_callback(broker.drain, DRAIN_S)
        # Orders wait out a near-cache life: a shorter one in every process promises the same.
        broker.answers._ports.cache.near_life_s = NEAR_LIFE_S
        self.brokers.append(broker)
        return broker

    async def browser(self, token, broker=None):
        """The access token a browser gets for one that was refused."""
        return (await (broker or self.broker).answers.for_browser(token)).access_token

    async def create(self, name="anna", client="default", broker=None, *, vouch=True, **profile):
        """Create a user through the broker; returns it and whether this call created it."""
        users = (broker or self.broker).users
        key = UserKey(client, name)
        return await users.create(key, a_profile(name, **profile), vouch=vouch, actor="test")

    async def user(self, name="anna", client="default", *, vouch=True):
        """A user with its first pair, given to nobody yet."""
        user, _ = await self.create(name, client, vouch=vouch)
        return Person(self, user.key, int(user.upstream_id))

    async def used_user(self, name="anna", **age):
        """A user whose token was given to somebody, so long ago; returns both."""
        person = await self.user(name)
        token = await person.token()
        if age:
            await self.later(**age)
        return person, token

    async def used_users(self, *names, **age):
        """Users whose tokens were given to somebody, so long ago."""
        people = [(await self.used_user(name))[0] for name in names]
        await self.later(**age)
        return people

    def seed(self, name="anna", client="default"):
        """A user who exists upstream and is not known to the broker: its key, its id there and its pair."""
        row, pair = self.sandbox.create_user(upstream_client(client), a_profile(name).email)
        person = Person(self, UserKey(client, name), row.id)
        return person, Enrolment(
            str(row.id), pair.access.secret, pair.refresh.secret, profile=a_profile(name)
        )

    async def enrol(self, person, enrolment, *, replace=False):
        """Hand a pair over to the broker."""
        users = self.broker.users
        return await users.enrol(person.key, enrolment, replace=replace, vouch=True, actor="test")

    async def sweep(self, broker=None, client="default"):
        """One tick's work ahead of time for a client, all first uses written before it."""
        for each in self.brokers:
            await each.behind.flush()
            await each.answers.uses.flush()
        return await (broker or self.broker).sweeps.sweep(client, 500)

    async def later(self, **duration):
        """Let time pass for everything that is stored, here and upstream (not for what tokens say inside)."""
        passed = timedelta(**duration)
        _age(self.sandbox.state, int(passed / timedelta(milliseconds=1)))
        for each in self.brokers:
            await each.behind.flush()
            await each.answers.uses.flush()
        for table, columns in _INSTANTS.items():
            earlier = ", ".join(f"{column} = {column} - $1::interval" for column in columns.split())
            await self.sql(f"UPDATE {table} SET {earlier}", passed)
        await self.drop_caches()

    async def drop_caches(self):
        """Let go of every cached answer and confirmation; blocks and budgets stay."""
        async with Redis.from_url(self.settings.redis_url.value) as redis:
            for pattern in _FORGOTTEN:
                if names := await redis.keys(pattern):
                    await redis.delete(*names)
        for broker in self.brokers:
            broker.answers._ports.cache._near = NearCache()

    async def sql(self, statement, *values):
        """Run a statement in the world's database and return its rows."""
        connection = await asyncpg.connect(self.settings.database_url.value)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    def heard(self, event, person=None):
        """The facts of every such event, about one user if one is given."""
        key = person and person.key
        return [facts for name, about, facts in self.notes.heard if name == event and key in (None, about)]


def a_profile(name="anna", **changes):
    """What the app says of a user of this name."""
    return Profile(**{"email": f"{name}@example.com", "name": name.capitalize(), **changes})


def upstream_client(client):
    """The id upstream knows a client by."""
    return f"cl-{client}"


def _age(state, ms):
    """Let everything in the stand-in have happened earlier."""
    for rows in (state.access, state.refresh, state.deleted):
        for token in rows.values():
            token.created_ms -= ms
            token.expires_ms -= ms
            token.deleted_ms = token.deleted_ms and token.deleted_ms - ms
    for user in state.users.values():
        user.created_ms -= ms
    for client in state.clients.values():
        client.expiries = [(ends_ms - ms, secret) for ends_ms, secret in client.expiries]


@asynccontextmanager
async def open_world(
    database_url, redis_url, folder, *, clients=("default",), brokers=1, sandbox=None, traced=False, **changes
):
    """Open a world with so many brokers; `changes` are settings, `sandbox` the stand-in's own.

    With `traced` it traces as OpenTelemetry's variables say.
    """
    config = SandboxConfig(
        clients=tuple(SandboxClient(upstream_client(name), f"secret-of-{name}") for name in clients),
        **(sandbox or {}),
    )
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(AsyncExitStack())
        upstream = await serving.enter_async_context(serve(config))
        file = folder / "clients.toml"
        file.write_text("".join(_table(name, upstream.url, folder) for name in clients))
        env = environment(
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            CLIENTS_FILE=str(file),
            CAL_OAUTH_CLIENT_ID=None,
            X_CAL_SECRET_KEY=None,
            **{**SCALED, **changes},
        )
        world = World(upstream, serving.aclose, env, stack)
        if traced:
            world.tracing = start_tracing("serve", world.notes)
        for _ in range(brokers):
            await world.open_broker()
        yield world


def secret_file(folder, client):
    """Where the secret of a client is mounted; the broker reads it again when it changes."""
    return folder / f"secret-of-{client}"


def _table(name, url, folder):
    mounted = secret_file(folder, name)
    mounted.write_text(f"secret-of-{name}")
    return (
        f'[[clients]]\nname = "{name}"\nid = "{upstream_client(name)}"\n'
        f'secret_file = "{mounted}"\napi_url = "{url}"\n'
    )
