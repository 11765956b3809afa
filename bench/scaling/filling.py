"""Fills a database with as many grants as are asked for, 10,000 of them due.

The due ones are real: sealed and fingerprinted by the broker's own adapters. The others only have to be as
wide, and as many in each index; PostgreSQL makes them itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from bench import stored
from bench.people import Person, people
from bench.settings import CLIENT

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

USED_OF = 20
"""One grant of so many is somebody's who was here of late; the others are idle."""
_FIRST_OWNER = 1_000_000  # as in bench.people: where owners begin
_CHUNK = 25_000
_ENDS_IN_S = 300
_numbers = itertools.count()

# Idle pairs come due when they are to be kept alive, over the next 300 days; pairs that are used, when they
# become stale: two hours from now and later, so that none of them comes due while others are measured.
_USERS = f"""
    INSERT INTO users (client, user_id, upstream_id, email, profile, created_at, vouched_at, refreshed_at)
    SELECT '{CLIENT}', 'user-' || n, n::text, 'user-' || n || '@app.test',
        '{{"name": "A user of the app", "time_zone": "Europe/Berlin", "locale": "en"}}', $4, $4, $4
    FROM generate_series($1::int, $2::int) n WHERE (n - {_FIRST_OWNER}) % $3::int <> 0
"""  # noqa: S608 - constants
_GRANTS = f"""
    INSERT INTO grants (client, user_id, upstream_id, state, reason, generation, key_id, access_sealed,
        refresh_sealed, issued_at, expires_at, refresh_at, refresh_token_expires_at, first_used_at, due_at)
    SELECT '{CLIENT}', 'user-' || n, n::text, 'LIVE', 'refresh.rotated', 1700000000000 + n, 'e1',
        decode(lpad(to_hex(n), 2 * $5::int, '5a'), 'hex'), decode(lpad(to_hex(n), 2 * $6::int, 'a5'), 'hex'),
        $4::timestamptz, $4::timestamptz + interval '1 hour', $4::timestamptz + interval '50 minutes',
        $4::timestamptz + interval '1 year', CASE WHEN n % {USED_OF} = 0 THEN $4::timestamptz END,
        $4::timestamptz + CASE WHEN n % {USED_OF} = 0 THEN interval '2 hours' + random() * interval '1 hour'
            ELSE interval '1 day' + random() * interval '299 days' END
    FROM generate_series($1::int, $2::int) n WHERE (n - {_FIRST_OWNER}) % $3::int <> 0
"""  # noqa: S608 - constants
# Tokens of idle grants have stopped counting, and their days were dropped; who is here has had several.
_LINEAGE = f"""
    INSERT INTO lineage (fingerprint, key_id, client, user_id, generation, counts_until)
    SELECT sha256(convert_to(n || '.' || back, 'UTF8')), 'f1', '{CLIENT}', 'user-' || n,
        1700000000000 + n - back, $4::timestamptz + interval '25 hours' - back * interval '1 hour'
    FROM generate_series($1::int, $2::int) n, generate_series(0, 3) back
    WHERE (n - {_FIRST_OWNER}) % $3::int <> 0 AND n % {USED_OF} = 0
"""  # noqa: S608 - constants
_COME_DUE = """
    UPDATE grants SET due_at = clock_timestamp() + $3::interval
    WHERE client = $1 AND user_id = ANY($2::text[])
"""
_WIDTHS = "SELECT length(access_sealed), length(refresh_sealed) FROM grants LIMIT 1"


@dataclass(frozen=True, slots=True)
class Filled:
    """A database with its grants in it, and those of them that are due."""

    url: str
    grants: int
    due: list[Person]
    waiting: list[str] = field(default_factory=list)
    """Those of the due who were put aside, to come due again in waves."""

    async def put_aside(self) -> None:
        """Have nobody due, until `wave` says so."""
        self.waiting.extend(one.id for one in self.due)
        await self._have_due(self.waiting, timedelta(hours=2))

    async def wave(self, count: int) -> None:
        """Have so many come due again, each of them once."""
        wave, self.waiting[:] = self.waiting[:count], self.waiting[count:]
        if len(wave) < count:
            raise LookupError("More were to come due than there are.")
        await self._have_due(wave, timedelta(0))

    async def _have_due(self, users: list[str], ahead: timedelta) -> None:
        connection = await asyncpg.connect(self.url)
        await connection.execute(_COME_DUE, CLIENT, users, ahead)
        # The rows as they were before are no part of what is measured next.
        await connection.execute("VACUUM grants")
        await connection.close()


async def fill(server_url: str, grants: int, due: int) -> Filled:
    """Make a database of so many grants; those that are due lie among all the others, in no order."""
    url = await stored.create_database(server_url, f"scale_{grants}_{next(_numbers)}")
    await stored.prepare_broker(url)
    connection = await asyncpg.connect(url)
    # The one check that would be made for each row: that its user is there, who was put there just before.
    await connection.execute("SET session_replication_role = replica")
    apart = grants // due
    crowd: list[Person] = []
    for first, last in _chunks(grants, apart):
        here = [people(1, first=n, ends_in_s=_ENDS_IN_S)[0] for n in range(first, last, apart)]
        await stored.put_people(connection, here, _due_at(len(here)))
        if apart > 1:
            await _fill_between(connection, first, last, apart)
        crowd += here
    await connection.execute("VACUUM (ANALYZE)")
    await connection.execute("CHECKPOINT")
    await connection.close()
    return Filled(url, grants, crowd)


async def drop(server_url: str, filled: Filled) -> None:
    """Give the room back."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"DROP DATABASE {filled.url.rpartition('/')[2]} WITH (FORCE)")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _fill_between(connection: Connection, first: int, last: int, apart: int) -> None:
    """Fill in everybody of these who is not due, as wide as those who are."""
    widths = await connection.fetchrow(_WIDTHS)
    assert widths is not None  # noqa: S101 - some are there already
    whom = (_FIRST_OWNER + first, _FIRST_OWNER + last - 1, apart, datetime.now(UTC))
    async with connection.transaction():
        await connection.execute(_USERS, *whom)
        await connection.execute(_GRANTS, *whom, *widths)
        await connection.execute(_LINEAGE, *whom)


def _chunks(grants: int, apart: int) -> Iterator[tuple[int, int]]:
    step = max(_CHUNK // apart, 1) * apart
    return ((first, min(first + step, grants)) for first in range(0, grants, step))


def _due_at(count: int) -> list[datetime]:
    now = datetime.now(UTC)
    return [now - timedelta(seconds=random.uniform(1, 300)) for _ in range(count)]  # noqa: S311 - no secret
