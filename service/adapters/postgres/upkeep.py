"""What the worker does for the tables: partitions ahead and behind, pruning, and the gauges over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from service.broker.ports import Gauges

if TYPE_CHECKING:
    from service.adapters.postgres.database import Connection, Database

_DAYS_AHEAD = 9
_BATCH = 5_000
_COUNT_WITHIN_S = 60
_BRICKED_AFTER = timedelta(minutes=2)
_UPKEEP = 0x7462_7570  # "tbup"

_PARTITIONS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = $1::text::regclass AND c.relname <> $1 || '_rest'
"""
_LINEAGE, _EVENTS = "lineage", "audit_events"

# All of them, then those that are not LIVE: both from indexes. Read row by row the table would take
# many seconds at ten million grants, every minute.
_ALL = "SELECT count(*) FROM grants WHERE client = $1"
_STOPPED = "SELECT state, count(*) AS n FROM grants WHERE client = $1 AND state <> 'LIVE' GROUP BY state"

# Bricked: the pair is dead and the tries to replace it have been failing for over two minutes. An idle user's
# pair ends as well: until somebody has asked in vain, nobody lacks it. That no try is older than the pair
# spares a look into every day there is; releases before this one wrote theirs into `events`.
_BRICKED = """
    SELECT count(*) FROM grants g
    WHERE g.client = $1 AND g.retry_at IS NOT NULL AND g.state = 'LIVE'
      AND (g.expires_at <= $2 OR g.refused OR g.force_pending)
      AND (EXISTS (SELECT FROM audit_events e
        WHERE e.client = g.client AND e.user_id = g.user_id AND e.generation = g.generation
          AND e.event IN ('refresh.unavailable', 'refresh.unknown') AND e.at <= $2
          AND e.at >= g.issued_at - interval '1 day')
      OR EXISTS (SELECT FROM events e
        WHERE e.client = g.client AND e.user_id = g.user_id AND e.generation = g.generation
          AND e.event IN ('refresh.unavailable', 'refresh.unknown') AND e.at <= $2))
"""

_DUE = """
    SELECT count(*) FILTER (WHERE claim_owner IS NULL) AS due,
        coalesce(extract(epoch FROM $2 - min(due_at)), 0)::float8 AS overdue_s,
        count(*) FILTER (WHERE claim_owner IS NOT NULL) AS expired_claims
    FROM grants WHERE client = $1 AND due_at <= $2 AND state = 'LIVE'
"""


class PostgresUpkeep:
    """Housekeeping of the broker's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def gauges(self, client: str, now: datetime) -> Gauges:
        """Count a client's grants, all at one instant and each from its index."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            # To count everybody may take longer than a caller's statement, here and in the server.
            await connection.execute(f"SET LOCAL statement_timeout = '{_COUNT_WITHIN_S}s'")
            everybody = await connection.fetchval(_ALL, client, timeout=_COUNT_WITHIN_S)
            stopped = await connection.fetch(_STOPPED, client)
            bricked = await connection.fetchval(_BRICKED, client, now - _BRICKED_AFTER)
            due = await connection.fetchrow(_DUE, client, now)
        assert due is not None  # noqa: S101 - an aggregate always has a row
        counts = {row["state"]: row["n"] for row in stopped}
        live = everybody - sum(counts.values())
        users = {"LIVE": live, **counts} if live else counts
        return Gauges(users, due["due"], max(0.0, due["overdue_s"]), due["expired_claims"], bricked)

    async def prepare_partitions(self, now: datetime) -> int:
        """Make partitions for the days to come; returns how many were made."""
        return await self._make_days(_LINEAGE, now) + await self._make_days(_EVENTS, now)

    async def prune(self, now: datetime, events_kept: timedelta) -> int:
        """Drop what stopped counting and events out of retention; returns the rows and partitions gone."""
        gone = await self._prune(_LINEAGE, now, "counts_until")
        gone += await self._prune(_EVENTS, now - events_kept, "at")
        async with self._alone() as connection:
            # What releases before this one wrote, and those that still run beside it write.
            return gone + await _delete(connection, "events", "at", now - events_kept)

    async def _make_days(self, table: str, now: datetime) -> int:
        """Make one table's days, alone: who needs both tables never waits for one while the other is held."""
        made = 0
        async with self._alone() as connection:
            existing = {row["relname"] for row in await connection.fetch(_PARTITIONS, table)}
            for ahead in range(_DAYS_AHEAD):
                day = _day(now) + timedelta(days=ahead)
                if _name(table, day) not in existing:
                    # A function that runs as the tables' owner: this process's role need not own them.
                    made += await connection.fetchval(f"SELECT {table}_make_day($1)", day.date())
        return made

    async def _prune(self, table: str, before: datetime, column: str) -> int:
        """Drop the days that were over by then, and delete what is older in the rest."""
        gone = 0
        async with self._alone() as connection:
            for row in await connection.fetch(_PARTITIONS, table):
                if row["relname"] < _name(table, _day(before)):
                    day = _day_of(row["relname"])
                    gone += await connection.fetchval(f"SELECT {table}_drop_day($1)", day)
            return gone + await _delete(connection, f"{table}_rest", column, before)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection]:
        """One transaction that no other worker's upkeep runs beside."""
        async with self._database.connection() as connection, connection.transaction():
            # Whoever needs a table waits behind one who waits for it alone: better to come back later.
            await connection.execute("SET LOCAL lock_timeout = '500ms'")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _UPKEEP)
            yield connection


async def _delete(connection: Connection, table: str, column: str, before: datetime) -> int:
    done = await connection.execute(
        f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {column} < $1 LIMIT {_BATCH})",  # noqa: S608 - constants
        before,
    )
    return int(done.rsplit(" ", 1)[1])


def _day(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _name(table: str, day: datetime) -> str:
    return f"{table}_{day:%Y%m%d}"


def _day_of(name: str) -> date:
    return date.fromisoformat(name.rpartition("_")[2])
