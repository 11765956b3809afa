"""The port EventStore over PostgreSQL, and how the other stores write an event with their change.

Until the last row of `events`, where releases before this one wrote, is out of retention, it is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from service.adapters.postgres.telling import REUSED
from service.broker.errors import Invalid
from service.broker.model import Actor, Event, EventKind, EventQuery, Fact, Recorded, UserKey

if TYPE_CHECKING:
    from service.adapters.postgres.database import Connection, Database
    from service.adapters.postgres.rows import Row

NOTE = """
    INSERT INTO audit_events
        (client, user_id, at, kind, event, generation, reason, trigger, actor, request_id)
"""
"""How every statement that changes a grant begins its note of it: ten columns follow."""

NOTE_CHANGED = """
    INSERT INTO audit_events (client, user_id, at, kind, event, actor, request_id, facts)
    VALUES ($1, $2, clock_timestamp(), 'act', $3, $4, $5, $6::jsonb)
"""

# A delete under way is waited for, and its user then not found: who asked is not written behind its back.
_WRITE = f"""
    WITH given AS (
        SELECT * FROM json_to_recordset($1::json) AS x (id uuid, client text, user_id text, at timestamptz,
            kind text, event text, outcome text, reason text, generation bigint, presented bigint, actor text,
            request_id text, address text, origin text, agent text, fingerprint text, facts jsonb,
            count bigint, last_at timestamptz)
    ), held AS MATERIALIZED (
        SELECT u.client, u.user_id FROM users u
        WHERE (u.client, u.user_id) IN (SELECT client, user_id FROM given)
        ORDER BY u.client, u.user_id FOR KEY SHARE
    ), {REUSED}
    INSERT INTO audit_events (id, client, user_id, at, kind, event, outcome, reason, generation, presented,
        actor, request_id, address, origin, agent, fingerprint, facts, count, last_at)
    SELECT x.id, x.client, x.user_id, x.at, x.kind, x.event, x.outcome, x.reason, x.generation, x.presented,
        x.actor, x.request_id, CASE WHEN h.user_id IS NOT NULL THEN x.address END,
        CASE WHEN h.user_id IS NOT NULL THEN x.origin END, CASE WHEN h.user_id IS NOT NULL THEN x.agent END,
        CASE WHEN h.user_id IS NOT NULL THEN x.fingerprint END, x.facts, x.count, x.last_at
    FROM given x LEFT JOIN held h USING (client, user_id)
    ON CONFLICT (at, id) DO UPDATE SET count = greatest(audit_events.count, excluded.count),
        last_at = greatest(audit_events.last_at, excluded.last_at)
"""  # noqa: S608 - constants

_END, _LAST = "coalesce($3::timestamptz, 'infinity')", f"coalesce($4::uuid, '{UUID(int=2**128 - 1)}')"
_UNTIL, _SINCE = "coalesce($5::timestamptz, 'infinity')", "coalesce($6::timestamptz, '-infinity')"
_OLD_ID = "lpad(to_hex(id), 32, '0')::uuid"
_OLD_KIND = "CASE WHEN actor IS NULL THEN 'change' ELSE 'act' END"

# A row that began before `since` and counted on after it belongs to the time asked about. The instants are
# compared with values, not tested for NULL, so that days outside them are not looked at.
_PAGE = f"""
    SELECT * FROM (
        (SELECT id, at, last_at, count, kind, event, outcome, reason, trigger, generation, presented, actor,
            request_id, address, origin, agent, fingerprint, facts
        FROM audit_events
        WHERE client = $1 AND user_id = $2 AND at <= {_END} AND (at, id) < ({_END}, {_LAST}) AND at < {_UNTIL}
          AND at >= {_SINCE} - interval '10 minutes' AND coalesce(last_at, at) >= {_SINCE}
          AND ($7::text IS NULL OR kind = $7)
        ORDER BY at DESC, id DESC LIMIT $8)
        UNION ALL
        (SELECT {_OLD_ID}, at, NULL, 1, {_OLD_KIND}, event, NULL, reason, trigger, generation,
            NULL, actor, NULL, NULL, NULL, NULL, NULL, NULL
        FROM events
        WHERE client = $1 AND user_id = $2 AND (at, {_OLD_ID}) < ({_END}, {_LAST}) AND at < {_UNTIL}
          AND at >= {_SINCE} AND ($7::text IS NULL OR $7 = {_OLD_KIND})
        ORDER BY at DESC, id DESC LIMIT $8)
    ) both_tables ORDER BY at DESC, id DESC LIMIT $8
"""  # noqa: S608 - constants

# Who asked goes with the user; what happened, when, and on whose order stays until it is pruned. Newest first
# and so many at once: a user may have far more rows than one statement has time for.
_FORGET_WHO = """
    WITH these AS (
        SELECT at, id FROM audit_events
        WHERE client = $1 AND user_id = $2 AND (at, id) < ($3, $4) AND at >= $5
          AND num_nonnulls(address, origin, agent, fingerprint) > 0
        ORDER BY at DESC, id DESC LIMIT $6
    ), gone AS (
        UPDATE audit_events e SET address = NULL, origin = NULL, agent = NULL, fingerprint = NULL
        FROM these t WHERE e.at = t.at AND e.id = t.id
    )
    SELECT at, id FROM these ORDER BY at, id LIMIT 1
"""
_FORGOTTEN_AT_ONCE = 5_000
WRITTEN_MEANWHILE = timedelta(days=1)
"""How old an event may be that is written behind while its user is deleted: the database was away so long."""
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_NEWEST = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))


async def forget_who(connection: Connection, key: UserKey, since: datetime = _EVER) -> None:
    """Forget who asked for the user's tokens, in statements that each take a moment."""
    before: tuple[datetime, UUID] | None = _NEWEST
    while before is not None:
        last = await connection.fetchrow(
            _FORGET_WHO, key.client, key.user_id, *before, since, _FORGOTTEN_AT_ONCE
        )
        before = None if last is None else (last["at"], last["id"])


class PostgresEvents:
    """What happened to users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, recorded: Sequence[Recorded]) -> None:
        """Write these in one statement; see the port."""
        # One text for all: to write nineteen arrays takes several times as long as to write this.
        try:
            rows = orjson.dumps([_row(one) for one in recorded]).decode()
        except orjson.JSONEncodeError as error:
            raise Invalid from error
        async with self._database.connection() as connection:
            await connection.execute(_WRITE, rows)

    async def page(self, key: UserKey, query: EventQuery) -> list[Event]:
        """Return what happened to the user, newest first."""
        after = query.after
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _PAGE, key.client, key.user_id, after and after.at, after and after.id, query.until,
                query.since, query.kind, query.limit,
            )  # fmt: skip
        return [_event(row) for row in rows]


def _row(recorded: Recorded) -> dict[str, object]:
    """Return a row's columns as JSON writes them; one that is NULL or has its default is left out."""
    said = zip(Event._fields, recorded.event)  # noqa: B905 - they are the event's own fields
    row: dict[str, object] = {name: value for name, value in said if value is not None}
    row["id"] = recorded.id
    if recorded.key is not None:
        row["client"], row["user_id"] = recorded.key
    return row


def facts_of(facts: Mapping[str, Fact] | None) -> str | None:
    """Return facts as they are stored."""
    return None if facts is None else orjson.dumps(facts).decode()


def request_of(actor: str) -> str | None:
    """Return the id of the request that an order came with, if it came with one."""
    return actor.request_id if isinstance(actor, Actor) else None


def _event(row: Row) -> Event:
    facts: str | None = row["facts"]
    said = {**row, "kind": EventKind(row["kind"]), "facts": None if facts is None else orjson.loads(facts)}
    return Event(**said)
