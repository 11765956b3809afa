"""The ports NoticeStore and CircuitStore over PostgreSQL: what waits, whose turn it is, what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from service.adapters.postgres.telling import ABOUT_GRANT, ONCE, TELL
from service.broker.model.notice import Backlog, Chosen, Kept, Notice, NoticeOutcome

if TYPE_CHECKING:
    from service.adapters.postgres.database import Connection, Database
    from service.adapters.postgres.rows import Row

_COLUMNS = "n.seq, n.id, n.at, n.type, n.client, n.user_id, n.facts, n.since, n.attempts, n.claim_owner"

# The first that waits of each user, or of a client as such; what nobody wants is in nobody's way.
_CLAIM = f"""
    WITH due AS (
        SELECT n.seq FROM notices n
        WHERE n.outcome IS NULL AND n.next_at <= $4 AND n.type = ANY($2)
          AND (n.claimed_until IS NULL OR n.claimed_until <= clock_timestamp())
          AND NOT EXISTS (SELECT FROM notices o
            WHERE o.outcome IS NULL AND o.client = n.client AND o.user_id = n.user_id AND o.seq < n.seq
              AND o.type = ANY($2))
        ORDER BY n.next_at, n.seq LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE notices n SET claim_owner = $1, claimed_until = clock_timestamp() + $5::interval,
        attempts = n.attempts + 1
    FROM due WHERE n.seq = due.seq RETURNING {_COLUMNS}
"""  # noqa: S608 - constants

_OURS = "seq = $1 AND claim_owner = $2 AND attempts = $3 AND outcome IS NULL"

_SETTLE = f"""
    UPDATE notices SET outcome = $4, settled_at = $5, last_error = $6,
        claim_owner = NULL, claimed_until = NULL
    WHERE {_OURS} RETURNING seq
"""  # noqa: S608 - constants

_PUT_OFF = f"""
    WITH ours AS (
        UPDATE notices SET next_at = $4, last_error = $5, claim_owner = NULL, claimed_until = NULL
        WHERE {_OURS} RETURNING seq, client, user_id
    ), behind AS (
        UPDATE notices n SET next_at = greatest(n.next_at, $4) FROM ours
        WHERE n.outcome IS NULL AND n.client = ours.client AND n.user_id = ours.user_id AND n.seq > ours.seq
    )
    SELECT seq FROM ours
"""  # noqa: S608 - constants

_BATCH = 5_000
"""So many at most in a statement, which may have been waiting for days: none takes long."""


def _batch(where: str) -> str:
    return f"seq IN (SELECT seq FROM notices WHERE {where} ORDER BY seq LIMIT {_BATCH})"  # noqa: S608 - constants


_HURRY = f"UPDATE notices SET next_at = $1 WHERE {_batch('outcome IS NULL AND next_at > $1')}"  # noqa: S608 - constants

_PASS_OVER = f"""
    UPDATE notices SET outcome = 'unwanted', settled_at = $3
    WHERE {_batch("outcome IS NULL AND since < $2 AND type <> ALL($1)")}
"""  # noqa: S608 - constants

_PRUNE = f"DELETE FROM notices WHERE {_batch('at < $1')}"  # noqa: S608 - constants

_BACKLOG = """
    SELECT count(*) AS waiting, coalesce(extract(epoch FROM $2 - min(since)), 0)::float8 AS oldest_s
    FROM notices WHERE outcome IS NULL AND type = ANY($1)
"""

# Each from an index that holds the few: those that are stopped, those that failed, those that no worker came
# to for a day.
# Where upstream stated no end it is not known. A tenth of a short life is notice enough.
_COUNT_WITHIN_S = 60

_ENDING = f"""
    {TELL}
    SELECT 'refresh_token.ending', client, user_id, generation::text,
        jsonb_build_object({ABOUT_GRANT}, why, 'endsAt', refresh_token_expires_at)
    FROM (
        SELECT 'paused' AS why, g.* FROM grants g WHERE g.client = $1 AND g.state = 'PAUSED'
        UNION ALL
        SELECT 'failing', g.* FROM grants g
        WHERE g.client = $1 AND g.retry_at IS NOT NULL AND g.state = 'LIVE'
        UNION ALL
        SELECT 'overdue', g.* FROM grants g
        WHERE g.client = $1 AND g.due_at <= $2::timestamptz - interval '1 day' AND g.retry_at IS NULL
          AND g.state = 'LIVE'
    ) g
    WHERE refresh_token_expires_at <= $2 + least($3::interval, (refresh_token_expires_at - issued_at) / 10)
      AND NOT EXISTS (SELECT FROM notices n WHERE n.client = g.client AND n.user_id = g.user_id
        AND n.type = 'refresh_token.ending' AND n.mark = g.generation::text)
    LIMIT {_BATCH} {ONCE}
"""  # noqa: S608 - constants

_OPENED = f"""
    WITH opened AS (
        INSERT INTO open_circuits (client, opened_at, seen_at, reason)
        VALUES ($1, clock_timestamp(), clock_timestamp(), $2) ON CONFLICT DO NOTHING RETURNING *
    ), told AS (
        {TELL} SELECT 'circuit.opened', client, '', opened_at::text, jsonb_build_object('reason', reason)
        FROM opened {ONCE}
    )
    UPDATE open_circuits SET seen_at = clock_timestamp() WHERE client = $1
"""  # noqa: S608 - constants

_CLOSED = f"""
    WITH closed AS (
        DELETE FROM open_circuits WHERE client = coalesce($1, client)
          AND ($2::interval IS NULL OR seen_at < clock_timestamp() - $2) RETURNING *
    ), told AS (
        {TELL} SELECT 'circuit.closed', client, '', opened_at::text, jsonb_build_object('reason', $3::text)
        FROM closed {ONCE}
    )
    SELECT count(*) FROM closed
"""  # noqa: S608 - constants

_CHOSEN = """
    ($1::uuid[] = '{}' OR id = ANY($1)) AND ($2::text[] = '{}' OR type = ANY($2))
    AND ($3::text IS NULL OR client = $3) AND ($4::text IS NULL OR user_id = $4)
    AND ($5::text[] = '{}' OR coalesce(outcome, 'waiting') = ANY($5))
    AND at >= coalesce($6::timestamptz, '-infinity') AND at < coalesce($7::timestamptz, 'infinity')
"""

_REPLAY = f"""
    UPDATE notices SET outcome = NULL, settled_at = NULL, last_error = NULL, attempts = 0,
        since = clock_timestamp(), next_at = clock_timestamp()
    WHERE {_batch(f"outcome IS NOT NULL AND {_CHOSEN}")}
"""  # noqa: S608 - constants

_COUNT = f"SELECT FROM notices WHERE outcome IS NOT NULL AND {_CHOSEN}"

_PAGE = f"""
    SELECT id, at, type, client, user_id, facts, coalesce(outcome, 'waiting') AS state, attempts, last_error,
        next_at, settled_at
    FROM notices WHERE {_CHOSEN} ORDER BY at DESC, seq DESC LIMIT $8
"""  # noqa: S608 - constants


class PostgresNotices:
    """The notices that wait, and those that are kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, owner: str, types: Sequence[str], most: int, now: datetime, hold: timedelta
    ) -> list[Notice]:
        """Commit claims on up to `most` due notices; see the port."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, owner, list(types), most, now, hold)
        return sorted(map(_notice, rows), key=lambda notice: notice.seq)

    async def settle(self, notice: Notice, outcome: NoticeOutcome, now: datetime, reason: str | None) -> bool:
        """Write how a claimed notice ended; False when the claim was lost."""
        return await self._hit(_SETTLE, *_named(notice), outcome.value, now, reason)

    async def put_off(self, notice: Notice, until: datetime, reason: str) -> bool:
        """Let a claimed notice, and those of the same user behind it, wait so long."""
        return await self._hit(_PUT_OFF, *_named(notice), until, reason)

    async def hurry(self, now: datetime) -> int:
        """Make everything due that was put off."""
        return await self._in_batches(_HURRY, now)

    async def pass_over(self, wanted: Sequence[str], before: datetime, now: datetime) -> int:
        """Settle as unwanted what has waited since before then and is of no wanted type."""
        return await self._in_batches(_PASS_OVER, list(wanted), before, now)

    async def prune(self, before: datetime) -> int:
        """Delete what happened before then."""
        return await self._in_batches(_PRUNE, before)

    async def replay(self, chosen: Chosen, *, dry_run: bool = False) -> int:
        """Have settled notices sent again, under the ids they had; returns how many."""
        if dry_run:
            return await self._count(_COUNT, *_choice(chosen))
        return await self._in_batches(_REPLAY, *_choice(chosen))

    async def page(self, chosen: Chosen, most: int) -> list[Kept]:
        """Return how notices stand, newest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_PAGE, *_choice(chosen), most)
        return [Kept(*row.values()) for row in rows]

    async def backlog(self, types: Sequence[str], now: datetime) -> Backlog:
        """Count what waits."""
        async with self._patiently() as connection:
            row = await connection.fetchrow(_BACKLOG, list(types), now, timeout=_COUNT_WITHIN_S)
        assert row is not None  # noqa: S101 - an aggregate always has a row
        return Backlog(row["waiting"], max(0.0, row["oldest_s"]))

    async def note_endings(self, client: str, now: datetime, notice: timedelta) -> int:
        """Write a notice of each refresh token that ends soon and is not being replaced."""
        async with self._patiently() as connection:
            return _rows(await connection.execute(_ENDING, client, now, notice, timeout=_COUNT_WITHIN_S))

    async def opened(self, client: str, reason: str) -> None:
        """Say that the circuit is open here."""
        await self._count(_OPENED, client, reason)

    async def closed(self, client: str) -> None:
        """Say that upstream accepts the client again."""
        await self._hit(_CLOSED, client, None, "accepted")

    async def close_left(self, unseen: timedelta) -> int:
        """Close those that nobody has held open for so long."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_CLOSED, None, unseen, "left"))

    async def _hit(self, statement: str, *arguments: object) -> bool:
        async with self._database.connection() as connection:
            return await connection.fetchval(statement, *arguments) is not None

    async def _count(self, statement: str, *arguments: object) -> int:
        async with self._database.connection() as connection:
            return _rows(await connection.execute(statement, *arguments))

    async def _in_batches(self, statement: str, *arguments: object) -> int:
        """Repeat a statement that does a batch at most, until it finds no whole one."""
        done = batch = await self._count(statement, *arguments)
        while batch == _BATCH:
            batch = await self._count(statement, *arguments)
            done += batch
        return done

    @asynccontextmanager
    async def _patiently(self) -> AsyncIterator[Connection]:
        """A transaction in which a statement may take longer than a caller's, here and in the server."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = '{_COUNT_WITHIN_S}s'")
            yield connection


def _rows(done: str) -> int:
    return int(done.rsplit(" ", 1)[1])


def _named(notice: Notice) -> tuple[object, ...]:
    return notice.seq, notice.owner, notice.attempts


def _choice(chosen: Chosen) -> tuple[object, ...]:
    lists = (list(chosen.ids), list(chosen.types), chosen.client, chosen.user_id, list(chosen.states))
    return *lists, chosen.since, chosen.until


def _notice(row: Row) -> Notice:
    return Notice(
        row["seq"], row["id"], row["at"], row["type"], row["client"], row["user_id"],
        orjson.loads(row["facts"]), row["since"], row["attempts"], row["claim_owner"],
    )  # fmt: skip
