"""The broker's stores over one real database, with a plain connection beside them to look and to meddle."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from service.adapters.postgres import (
    Database,
    PostgresClaims,
    PostgresEvents,
    PostgresGrants,
    PostgresOverview,
    PostgresUpkeep,
    PostgresUsers,
)
from service.adapters.postgres.rows import Rows
from service.adapters.vault import FingerprintRing, Vault, key_id_of
from service.broker.model import Binding, EventQuery, Standing
from tests.support.builders import NOON, a_new_grant
from tests.support.cached import ANNA, Notes
from tests.support.waiting import eventually

DEADLINE = timedelta(seconds=20)
WINDOW = timedelta(seconds=60)
RING = FingerprintRing([("f1", b"f" * 32)])
VAULT = Vault([("k1", b"k" * 32)])

_BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@dataclass
class Stores:
    """Every store of one process, and `raw`: a connection of the test's own."""

    database: Database
    claims: PostgresClaims
    grants: PostgresGrants
    users: PostgresUsers
    events: PostgresEvents
    upkeep: PostgresUpkeep
    overview: PostgresOverview
    raw: asyncpg.Connection
    notes: Notes

    async def link(self, key=ANNA, name="first", **changes):
        """Store a user's first pair and return the grant."""
        user = await self.users.link(a_new_grant(name, key=key, **changes), None, replace=True)
        return user.grant

    async def happened(self, key=ANNA, most=9, **asked):
        """What is kept of a user, newest first."""
        return await self.events.page(key, EventQuery(limit=most, **asked))

    async def claimed(self, key=ANNA, owner="this-process", **changes):
        """Store a user's first pair, claim it and return the claimed grant."""
        linked = await self.link(key, **changes)
        return await self.claims.claim(key, linked.generation, owner)

    async def set(self, key=ANNA, **columns):
        """Write columns of a grant behind the stores' backs."""
        names = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=3))
        statement = f"UPDATE grants SET {names} WHERE client = $1 AND user_id = $2"
        await self.raw.execute(statement, key.client, key.user_id, *columns.values())

    async def column(self, name, key=ANNA, table="grants"):
        """Return one column of a user's row."""
        statement = f"SELECT {name} FROM {table} WHERE client = $1 AND user_id = $2"
        return await self.raw.fetchval(statement, key.client, key.user_id)

    async def let_pass(self, time, key=ANNA):
        """Let so much time pass for the claim and the intent that stand in a user's row."""
        for table, column in (("grants", "claimed_at"), ("users", "intent_at")):
            statement = (
                f"UPDATE {table} SET {column} = {column} - $3::interval WHERE client = $1 AND user_id = $2"
            )
            await self.raw.execute(statement, key.client, key.user_id, time)

    async def until_blocked(self, count=1, *, or_done=()):
        """Wait until so many connections to this database wait for a lock, or tasks have ended instead."""

        async def enough():
            return await self.raw.fetchval(_BLOCKED) + sum(task.done() for task in or_done) >= count

        await eventually(enough)

    @asynccontextmanager
    async def holding(self, statement, *arguments):
        """Keep a transaction open after a statement; it is committed when the block ends."""
        connection = await asyncpg.connect(self.database._dsn)
        try:
            async with connection.transaction():
                await connection.execute(statement, *arguments)
                yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def open_stores(url, *, vault=VAULT, timeout_s=10.0, connections=10):
    """Open every store on a database; a machine under load is given time."""
    notes = Notes()
    database = Database(url, notes, timeout_s=timeout_s, connections=connections)
    await database.start()
    raw = await asyncpg.connect(url)
    rows = Rows(vault, DEADLINE, key_id_of)
    windows = {"claim_deadline": DEADLINE, "distrust_window": WINDOW}
    try:
        yield Stores(
            database=database,
            claims=PostgresClaims(database, rows, RING, **windows),
            grants=PostgresGrants(database, rows, distrust_window=WINDOW),
            users=PostgresUsers(database, rows, RING, **windows),
            events=PostgresEvents(database),
            upkeep=PostgresUpkeep(database),
            overview=PostgresOverview(database, timedelta(hours=1), timedelta(minutes=2)),
            raw=raw,
            notes=notes,
        )
    finally:
        raw.terminate()
        await database.aclose()


def fingerprint_of(name):
    """The fingerprints of the access token of the pair with this name."""
    return RING.of(f"{name}.access-token.of-a-user")


__all__ = ["DEADLINE", "NOON", "RING", "VAULT", "WINDOW", "Stores", "fingerprint_of", "open_stores"]


def stands(grant):
    """Where a grant stands, as it is told of who presents one of its tokens."""
    vouched_at, refreshed_at = grant.binding.vouched_at, grant.binding.refreshed_at
    binding = Binding(vouched_at, max(vouched_at, refreshed_at or vouched_at))
    return Standing(grant.key, grant.state, grant.generation, grant.not_before_generation, binding)
