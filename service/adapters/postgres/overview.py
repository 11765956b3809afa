"""The port OverviewStore over PostgreSQL: the worker's counts, minute by minute, and who needs attention.

The worker counts from indexes; whoever looks reads one row, a few hundred short ones, or a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from service.broker.model import GrantState, UserKey
from service.broker.ports.overview import Concern, Count, Happened, Troubled, TroubleQuery

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database
    from service.adapters.postgres.rows import Row
    from service.broker.ports import Gauges

STEPS = 60
"""So many steps of the horizon make up one lifetime of an access token."""
MINUTES_KEPT = timedelta(days=8)
_MINUTE, _TICK = timedelta(minutes=1), timedelta(microseconds=1)
_COUNTED_AGAIN = 3 * _MINUTE
"""Events written behind may come a little late: the newest minutes are counted once more."""
_AT_ONCE = 5 * _MINUTE
_BEGINS = timedelta(hours=1)
_CAUGHT_UP_AT_MOST = timedelta(hours=6)
_COUNT_WITHIN_S = 60

# Both as they stand in the index `grants_attention`: so written, a query is answered from it.
_CONCERN = """(CASE WHEN state = 'DEAD' THEN 5 WHEN state = 'PAUSED' THEN 6 WHEN force_pending THEN 1
    WHEN refused THEN 2 WHEN refresh_token_dead OR retry_at IS NOT NULL THEN 3 ELSE 4 END)"""
_TROUBLED = """(state <> 'LIVE' OR force_pending OR refused OR distrusted_until IS NOT NULL
    OR refresh_token_dead OR retry_at IS NOT NULL)"""

# Between which of the instants each comes due; who does so after the last of them is idle.
_DUE = """
    SELECT width_bucket(due_at, $2::timestamptz[]) AS place, count(*) AS n
    FROM grants WHERE client = $1 AND due_at < $3 GROUP BY 1
"""
_MARKS = f"""
    SELECT count(*) FILTER (WHERE refused) AS refused, count(*) FILTER (WHERE force_pending) AS force_pending,
        count(*) FILTER (WHERE distrusted_until IS NOT NULL) AS distrusted,
        count(*) FILTER (WHERE retry_at IS NOT NULL OR refresh_token_dead) AS failing
    FROM grants WHERE client = $1 AND {_TROUBLED} AND {_CONCERN} BETWEEN 1 AND 4
"""  # noqa: S608 - constants
_KEEP = """
    INSERT INTO standings (client, counted_at, standing) VALUES ($1, $2, $3::jsonb)
    ON CONFLICT (client) DO UPDATE SET counted_at = $2, standing = $3::jsonb
        WHERE standings.counted_at < $2
"""
_STANDING = "SELECT counted_at, standing FROM standings WHERE client = $1"

_LAST_MINUTE = "SELECT max(at) FROM minutes WHERE client = $1"
_NOTE = """
    INSERT INTO minutes (client, at, rotated, failed, recovered, died)
    SELECT c.client, m.at, coalesce(e.rotated, 0), coalesce(e.failed, 0), coalesce(e.recovered, 0),
        coalesce(e.died, 0)
    FROM unnest($1::text[]) c (client)
    CROSS JOIN generate_series(
        $2::timestamptz, $3::timestamptz - interval '1 minute', interval '1 minute') m (at)
    LEFT JOIN (
        SELECT client, date_trunc('minute', at, 'UTC') AS at,
            count(*) FILTER (WHERE event = 'refresh.rotated') AS rotated,
            count(*) FILTER (WHERE event IN ('refresh.unavailable', 'refresh.unknown', 'refresh.denied'))
                AS failed,
            count(*) FILTER (WHERE event = 'grant.recovered' OR trigger = 'recovery') AS recovered,
            count(*) FILTER (WHERE event = 'grant.died') AS died
        FROM audit_events WHERE at >= $2 AND at < $3 AND kind IN ('change', 'act') GROUP BY 1, 2
    ) e USING (client, at)
    ON CONFLICT (client, at) DO UPDATE SET rotated = excluded.rotated, failed = excluded.failed,
        recovered = excluded.recovered, died = excluded.died
"""
_FORGET = "DELETE FROM minutes WHERE client = ANY($1::text[]) AND at < $2"
_HISTORY = """
    SELECT date_bin($4::interval, at, '2000-01-01Z') AS at, sum(rotated)::bigint AS rotated,
        sum(failed)::bigint AS failed, sum(recovered)::bigint AS recovered, sum(died)::bigint AS died
    FROM minutes
    WHERE client = $1 AND at >= date_bin($4::interval, $2::timestamptz, '2000-01-01Z') AND at < $3
    GROUP BY 1 ORDER BY 1
"""

_WHO = """
    SELECT g.client, g.user_id, g.concern, g.upstream_id, u.email, g.state, g.reason,
        g.state = 'LIVE' AND NOT g.refused AND NOT g.force_pending AND g.expires_at > $2 AS has_token,
        g.refresh_token_dead, g.failures, g.expires_at, g.distrusted_until, g.retry_at, g.due_at,
        g.last_error, g.last_error_at
    FROM (%s) g JOIN users u USING (client, user_id)
"""
_PAGE = f"""
    SELECT *, {_CONCERN} AS concern FROM grants
    WHERE client = $1 AND {_TROUBLED} AND {_CONCERN} BETWEEN $3 AND $4
      AND ({_CONCERN}, user_id) > ($5::int, $6::text)
    ORDER BY {_CONCERN}, user_id LIMIT $7
"""  # noqa: S608 - constants
_LATE = f"""
    SELECT *, {Concern.OVERDUE.value} AS concern FROM grants
    WHERE client = $1 AND due_at <= $3 AND NOT {_TROUBLED} ORDER BY due_at LIMIT $4
"""  # noqa: S608 - constants
_MARKED = f"{_WHO % _PAGE} ORDER BY g.concern, g.user_id"
_OVERDUE = f"{_WHO % _LATE} ORDER BY g.due_at"


_ORDER = (
    (Concern.FORCE_PENDING, Concern.DISTRUSTED),
    (Concern.OVERDUE, Concern.OVERDUE),
    (Concern.DEAD, Concern.DEAD),
)
"""The order of a list of all; a pause is meant, and nobody is listed for it but when asked for."""


class PostgresOverview:
    """Counts, minutes and lists for those who look."""

    def __init__(self, database: Database, lifetime: timedelta, late: timedelta) -> None:
        self._database = database
        self._step = lifetime / STEPS
        self._late = late

    async def count(self, client: str, gauges: Gauges, now: datetime) -> None:
        """Count what the gauges do not say; see the port."""
        instants = self._instants(now)
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = '{_COUNT_WITHIN_S}s'")
            due = await connection.fetch(_DUE, client, instants, instants[-1], timeout=_COUNT_WITHIN_S)
            marks = await connection.fetchrow(_MARKS, client)
            places = {row["place"]: row["n"] for row in due}
            overdue, stale, *horizon = (places.get(place, 0) for place in range(len(instants)))
            kept = {
                "users": _users(gauges, overdue, stale, sum(horizon)),
                "marks": dict(marks or {}) | {"without_token": gauges.bricked},
                "overdue_s": gauges.overdue_s,
                "expired_claims": gauges.expired_claims,
                "step_s": self._step.total_seconds(),
                "horizon": horizon,
            }
            await connection.execute(_KEEP, client, now, orjson.dumps(kept).decode())

    def _instants(self, now: datetime) -> list[datetime]:
        """Return since when one is overdue, due, and due in each step to come; what is due now is due."""
        ahead = [now + step * self._step for step in range(STEPS + 1)]
        return [instant + _TICK for instant in (now - self._late, *ahead)]

    async def note_minutes(self, clients: Sequence[str], now: datetime) -> None:
        """Keep what happened in the minutes that are over; see the port."""
        until = now.replace(second=0, microsecond=0)
        async with self._database.connection() as connection:
            last = min(
                [await connection.fetchval(_LAST_MINUTE, client) or until - _BEGINS for client in clients],
                default=until,
            )
            since = max(last - _COUNTED_AGAIN, until - _CAUGHT_UP_AT_MOST)
            while since < until:
                ends = min(since + _AT_ONCE, until)
                await connection.execute(_NOTE, list(clients), since, ends)
                since = ends
            await connection.execute(_FORGET, list(clients), now - MINUTES_KEPT)

    async def standing(self, client: str) -> Count | None:
        """Return the last count."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_STANDING, client)
        return None if row is None else Count(row["counted_at"], **orjson.loads(row["standing"]))

    async def history(self, client: str, since: datetime, until: datetime, step: timedelta) -> list[Happened]:
        """Return what happened, in steps."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_HISTORY, client, since, until, step)
        return [Happened(**row) for row in rows]

    async def troubled(self, query: TroubleQuery, now: datetime) -> list[Troubled]:
        """Return who needs attention: those who are overdue stand before the dead, who stay for long."""
        found: list[Row] = []
        async with self._database.connection() as connection:
            for statement, values in self._looks(query, now):
                if room := query.limit - len(found):
                    found += await connection.fetch(statement, *values, room)
        return [_troubled(row) for row in found]

    def _looks(self, query: TroubleQuery, now: datetime) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Yield what is looked for, one after the other while there is room, each with all but its limit."""
        first, user_id = query.after or (0, "")
        for least, most in _ORDER if query.concern is None else [(query.concern, query.concern)]:
            if least is Concern.OVERDUE and first < Concern.DEAD:
                yield _OVERDUE, (query.client, now, now - self._late)
            elif least is not Concern.OVERDUE and first <= most:
                yield _MARKED, (query.client, now, least, most, first, user_id)


def _users(gauges: Gauges, overdue: int, stale: int, fresh: int) -> dict[str, int]:
    """Return where everybody's pair stands: whom the counts, taken one after the other, leave is idle."""
    live = gauges.users.get(GrantState.LIVE, 0)
    return {
        "fresh": fresh,
        "stale": stale,
        "overdue": overdue,
        "idle": max(0, live - fresh - stale - overdue),
        "paused": gauges.users.get(GrantState.PAUSED, 0),
        "dead": gauges.users.get(GrantState.DEAD, 0),
    }


def _troubled(row: Row) -> Troubled:
    said = dict(row)
    key = UserKey(said.pop("client"), said.pop("user_id"))
    said |= {"concern": Concern(said["concern"]), "state": GrantState(said["state"])}
    return Troubled(key=key, **said)
