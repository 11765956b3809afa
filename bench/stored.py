"""Puts a run's users where they belong: the broker's tables and cache, and those of the peers.

In bulk, but sealed, fingerprinted and cached by the broker's own adapters.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import redis.asyncio

from bench.people import Person
from bench.settings import CLIENT, ENCRYPTION_KEY, FINGERPRINT_KEY
from service.adapters.cache import RedisCache
from service.adapters.postgres import Database, PostgresUpkeep
from service.adapters.postgres.rows import Rows
from service.adapters.redis_link import RedisLink
from service.adapters.vault import FingerprintRing, Vault, key_id_of
from service.broker.model import Binding, CurrentToken, LineageEntry, TokenPair, UserKey
from sql.migrate import migrate

_HOUR, _WINDOW, _MARGIN = timedelta(hours=1), timedelta(hours=24), timedelta(minutes=10)
_AT_ONCE = 500
VAULT = Vault([ENCRYPTION_KEY])
RING = FingerprintRing([FINGERPRINT_KEY])

_USERS = ("client", "user_id", "upstream_id", "email", "created_at", "vouched_at", "refreshed_at")
_GRANTS = (
    "client", "user_id", "upstream_id", "state", "reason", "generation", "key_id", "access_sealed",
    "refresh_sealed", "issued_at", "expires_at", "refresh_at", "first_used_at", "due_at",
)  # fmt: skip
_LINEAGE = ("fingerprint", "key_id", "client", "user_id", "generation", "counts_until")


class Nobody:
    """An observer that hears nothing: what happens while the tables are filled is no part of the run."""

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Let it pass."""


async def create_database(server_url: str, name: str) -> str:
    """Create a database and return its address."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return server_url.rpartition("/")[0] + f"/{name}"


async def prepare_broker(url: str) -> None:
    """Bring a database to this release's schema, with the partitions that the worker would have made."""
    await migrate(url)
    database = Database(url, Nobody())
    await database.start()
    await PostgresUpkeep(database).prepare_partitions(datetime.now(UTC))
    await database.aclose()


async def store_people(url: str, crowd: Sequence[Person], due_at: Sequence[datetime] | None = None) -> None:
    """Store users with their pairs and lineage; `due_at` is when each is to be replaced ahead of time."""
    connection = await asyncpg.connect(url)
    await put_people(connection, crowd, due_at)
    await connection.execute("ANALYZE")
    await connection.close()


async def put_people(
    connection: asyncpg.Connection[asyncpg.Record],
    crowd: Sequence[Person],
    due_at: Sequence[datetime] | None = None,
) -> None:
    """Store them over a connection that is there already."""
    now = datetime.now(UTC)
    users = [(CLIENT, one.id, str(one.owner), f"{one.id}@app.test", now, now, now) for one in crowd]
    due: Sequence[datetime | None] = due_at or [None] * len(crowd)
    grants = [_grant(one, now, at) for one, at in zip(crowd, due, strict=True)]
    lineage = [row for one in crowd for row in _lineage(one)]
    async with connection.transaction():
        await connection.copy_records_to_table("users", records=users, columns=_USERS)
        await connection.copy_records_to_table("grants", records=grants, columns=_GRANTS)
        await connection.copy_records_to_table("lineage", records=lineage, columns=_LINEAGE)


async def cache_people(redis_url: str, crowd: Sequence[Person]) -> None:
    """Cache users as the service does when it has found them in the database."""
    link = RedisLink(redis_url, Nobody(), deadline_s=10.0)
    cache = RedisCache(link, VAULT, Nobody(), lambda: datetime.now(UTC))
    for start in range(0, len(crowd), _AT_ONCE):
        batch = crowd[start : start + _AT_ONCE]
        await asyncio.gather(*(_cache(cache, one) for one in batch))
    await cache.aclose()
    await link.aclose()


async def store_for_peers(url: str, lookups: Sequence[Person], handwritten: Sequence[Person]) -> None:
    """Fill the peers' table: those who present a token to be looked up, and those whose pair is replaced."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        'CREATE TABLE "User" (id int PRIMARY KEY, "accessToken" text NOT NULL UNIQUE, '
        '"currentToken" text NOT NULL, "refreshToken" text NOT NULL, "expiresAt" timestamp(3) NOT NULL)'
    )
    rows = [_peer_row(one, one.superseded) for one in lookups]
    rows += [_peer_row(one, one.current) for one in handwritten]
    await connection.copy_records_to_table("User", records=rows)
    await connection.execute("ANALYZE")
    await connection.close()


async def cache_for_peers(redis_url: str, lookups: Sequence[Person]) -> None:
    """Fill the peers' Redis: a token's hash leads to the answer."""
    client = redis.asyncio.from_url(redis_url)  # type: ignore[no-untyped-call]
    for start in range(0, len(lookups), _AT_ONCE):
        batch = lookups[start : start + _AT_ONCE]
        await client.mset({_peer_key(one): _peer_answer(one) for one in batch})
    await client.aclose()


def _grant(one: Person, now: datetime, due_at: datetime | None) -> tuple[object, ...]:
    key, ends_at = UserKey(CLIENT, one.id), datetime.fromtimestamp(one.ends_at, UTC)
    begins_at = ends_at - _HOUR
    pair = TokenPair(one.current, one.refresh, begins_at, ends_at, ends_at - _MARGIN)
    access, refresh = Rows(VAULT, timedelta(seconds=20), key_id_of).sealed(key, 2, pair)
    return (
        CLIENT, one.id, str(one.owner), "LIVE", "refresh.rotated", 2, key_id_of(access), access, refresh,
        begins_at, ends_at, pair.refresh_at, now, due_at,
    )  # fmt: skip


def _lineage(one: Person) -> list[tuple[object, ...]]:
    counts_until = datetime.fromtimestamp(one.ends_at, UTC) + _WINDOW
    rows: list[tuple[object, ...]] = []
    for generation, token in ((1, one.superseded), (2, one.current)):
        fingerprint = RING.of(token)[0]
        rows.append((fingerprint.digest, fingerprint.key_id, CLIENT, one.id, generation, counts_until))
    return rows


async def _cache(cache: RedisCache, one: Person) -> None:
    key, ends_at = UserKey(CLIENT, one.id), datetime.fromtimestamp(one.ends_at, UTC)
    now = datetime.now(UTC)
    current = CurrentToken(
        key=key,
        upstream_id=str(one.owner),
        generation=2,
        access_token=one.current,
        issued_at=ends_at - _HOUR,
        expires_at=ends_at,
        refresh_at=ends_at - _MARGIN,
        binding=Binding(vouched_at=now, refreshed_at=now),
        not_before_generation=0,
    )
    entry = LineageEntry(key, 1, ends_at + _WINDOW)
    await cache.put(current, [(RING.of(one.superseded)[0], entry)])


def _peer_row(one: Person, presented: str) -> tuple[object, ...]:
    ends_at = datetime.fromtimestamp(one.ends_at, UTC).replace(tzinfo=None)
    return (one.owner, presented, one.current, one.refresh, ends_at)


def _peer_key(one: Person) -> str:
    return f"token:{hashlib.sha256(one.superseded.encode()).hexdigest()}"


def _peer_answer(one: Person) -> str:
    answer = {"accessToken": one.current, "accessTokenExpiresAt": one.ends_at * 1000}
    return json.dumps(answer, separators=(",", ":"))
