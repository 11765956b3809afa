"""The port GrantStore over PostgreSQL: look-ups, marks, uses and states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from service.adapters.postgres.events import NOTE, request_of
from service.adapters.postgres.rows import GRANT_COLUMNS, Row, Rows, standing
from service.adapters.postgres.shared import SharedReads
from service.adapters.postgres.telling import DIED, ONCE
from service.broker.errors import SealBroken
from service.broker.model import Fingerprint, Grant, GrantState, LineageEntry, Standing, UserKey

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database
    from service.broker.ports import Use

_LOAD = f"SELECT {GRANT_COLUMNS} FROM grants g JOIN users u USING (client, user_id)"  # noqa: S608 - constants

# One row in any case, from the same indexes and with something in each column: a token that is not known here
# is looked for among the grants of nobody, so that the time it takes does not tell it from one that once was
# somebody's. An empty user_id says that there is none.
_FIND = """
    SELECT coalesce(l.client, '') AS client, coalesce(l.user_id, '') AS user_id,
        coalesce(l.generation, 0) AS entry_generation, coalesce(l.counts_until, 'epoch') AS counts_until,
        coalesce(g.state, 'DEAD') AS state, coalesce(g.generation, 0) AS generation,
        coalesce(g.not_before_generation, 0) AS not_before_generation,
        coalesce(u.vouched_at, 'epoch') AS vouched_at,
        coalesce(greatest(u.refreshed_at, u.vouched_at), 'epoch') AS refreshed_at
    FROM (SELECT) AS asked LEFT JOIN LATERAL (
        SELECT client, user_id, generation, counts_until FROM lineage
        WHERE fingerprint = ANY($1::bytea[]) ORDER BY generation DESC LIMIT 1
    ) l ON true
    LEFT JOIN grants g ON g.client = coalesce(l.client, '') AND g.user_id = coalesce(l.user_id, '')
    LEFT JOIN users u ON u.client = coalesce(l.client, '') AND u.user_id = coalesce(l.user_id, '')
"""

_REFUSED = """
    UPDATE grants SET refused = true,
        due_at = CASE WHEN claim_owner IS NULL THEN clock_timestamp() ELSE due_at END
    WHERE client = $1 AND user_id = $2 AND generation = $3 AND state = 'LIVE' RETURNING generation
"""

_DISTRUST = """
    UPDATE grants SET distrusted_until = greatest(distrusted_until, clock_timestamp() + $3::interval)
    WHERE client = $1 AND user_id = $2
"""

_TRUST = """
    UPDATE grants SET distrusted_until = NULL
    WHERE client = $1 AND user_id = $2 AND generation = $3 AND distrusted_until < $4 RETURNING generation
"""

_USES = """
    WITH used AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::boolean[])
            AS x (client, user_id, generation, at, by_browser)
    ), first AS (
        UPDATE grants g SET first_used_at = x.at,
            due_at = CASE WHEN g.state = 'LIVE' AND g.claim_owner IS NULL AND NOT g.refresh_token_dead
                THEN least(g.due_at, greatest(least(g.refresh_at, g.distrusted_until), g.retry_at))
                ELSE g.due_at END
        FROM used x
        WHERE g.client = x.client AND g.user_id = x.user_id AND g.generation = x.generation
          AND g.first_used_at IS NULL
    )
    UPDATE users u SET refreshed_at = greatest(u.refreshed_at, x.at) FROM used x
    WHERE u.client = x.client AND u.user_id = x.user_id AND x.by_browser
"""

_BEHIND = """
    SELECT (SELECT count(*) FROM lineage l
        WHERE l.client = x.client AND l.user_id = x.user_id AND l.generation > x.generation)
    FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS x (client, user_id, generation, n)
    ORDER BY x.n
"""

_VOUCH = "UPDATE users SET vouched_at = greatest(vouched_at, $3) WHERE client = $1 AND user_id = $2"

_REQUEST_FORCE = f"""
    WITH ordered AS (
        UPDATE grants g SET force_pending = true,
            due_at = CASE WHEN g.claim_owner IS NULL THEN clock_timestamp() ELSE g.due_at END,
            retry_at = NULL,
            not_before_generation = CASE WHEN $3 THEN g.generation ELSE g.not_before_generation END
        FROM users u
        WHERE g.client = $1 AND g.user_id = $2 AND g.state = 'LIVE'
          AND u.client = g.client AND u.user_id = g.user_id
        RETURNING {GRANT_COLUMNS}
    ), note AS (
        {NOTE} SELECT client, user_id, clock_timestamp(), 'act',
            CASE WHEN $3 THEN 'grant.revoked' ELSE 'grant.forced' END, generation, NULL, NULL, $4, $5
            FROM ordered
    )
    SELECT * FROM ordered
"""  # noqa: S608 - constants

_SET_STATE = f"""
    WITH moved AS (
        UPDATE grants g SET state = $3, reason = $4,
            due_at = CASE WHEN $3 <> 'LIVE' THEN NULL WHEN g.claim_owner IS NULL THEN $5::timestamptz
                ELSE coalesce(g.due_at, g.claimed_at) END
        FROM users u
        WHERE g.client = $1 AND g.user_id = $2 AND u.client = g.client AND u.user_id = g.user_id
        RETURNING {GRANT_COLUMNS}
    ), note AS (
        {NOTE} SELECT client, user_id, clock_timestamp(), 'act', 'grant.' || lower($3), generation,
            $4, NULL, $6, $7 FROM moved
    ), told AS (
        {DIED} FROM moved WHERE $3 = 'DEAD' {ONCE}
    )
    SELECT * FROM moved
"""  # noqa: S608 - constants


class PostgresGrants:
    """Grants and their lineage."""

    def __init__(self, database: Database, rows: Rows, *, distrust_window: timedelta) -> None:
        self._database = database
        self._rows = rows
        self._window = distrust_window
        self._shared = SharedReads()

    async def now(self) -> datetime:
        """Return the database's clock."""
        async with self._database.connection() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now

    async def find(self, fingerprints: Sequence[Fingerprint]) -> tuple[LineageEntry, Standing] | None:
        """Return the entry for one of these fingerprints, expired or not, and where its grant stands."""
        digests = [fingerprint.digest for fingerprint in fingerprints]
        return await self._shared.read(tuple(digests), partial(self._find, digests))

    async def _find(self, digests: Sequence[bytes]) -> tuple[LineageEntry, Standing] | None:
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(_FIND, digests)
        found = _found(row)
        return found if found[0].key.user_id else None

    async def load(self, key: UserKey) -> Grant | None:
        """Return the grant, or None when there is none."""
        return await self._shared.read(key, partial(self._load, key))

    async def _load(self, key: UserKey) -> Grant | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"{_LOAD} WHERE g.client = $1 AND g.user_id = $2", key.client, key.user_id
            )
        return None if row is None else self._rows.grant(row)

    async def mark_refused(self, key: UserKey, generation: int) -> bool:
        """Mark that upstream refused this generation's access token, and make it due at once."""
        return await self._hit(_REFUSED, key.client, key.user_id, generation)

    async def distrust(self, key: UserKey) -> None:
        """Open (or prolong) a distrust window."""
        async with self._database.connection() as connection:
            await connection.execute(_DISTRUST, key.client, key.user_id, self._window)

    async def clear_distrust(self, key: UserKey, generation: int, confirmed_at: datetime) -> bool:
        """Close the distrust window if it ended before `confirmed_at` (database clock)."""
        return await self._hit(_TRUST, key.client, key.user_id, generation, confirmed_at)

    async def note_uses(self, uses: Sequence[Use]) -> None:
        """Write first uses of generations, and when browsers last refreshed, in one statement."""
        ordered = sorted(uses, key=lambda use: use.key)
        async with self._database.connection() as connection:
            await connection.execute(
                _USES,
                [use.key.client for use in ordered],
                [use.key.user_id for use in ordered],
                [use.generation for use in ordered],
                [use.at for use in ordered],
                [use.by_browser for use in ordered],
            )

    async def behind(self, tokens: Sequence[tuple[UserKey, int]]) -> list[int]:
        """Return, for each user and generation, how many tokens that user has had since."""
        clients, users = [key.client for key, _ in tokens], [key.user_id for key, _ in tokens]
        async with self._database.connection() as connection:
            rows = await connection.fetch(_BEHIND, clients, users, [generation for _, generation in tokens])
        return [row["count"] for row in rows]

    async def vouch(self, key: UserKey, at: datetime) -> None:
        """Note that the app has vouched for the user."""
        async with self._database.connection() as connection:
            await connection.execute(_VOUCH, key.client, key.user_id, at)

    async def request_force(self, key: UserKey, *, revoke: bool, actor: str) -> Grant | None:
        """Mark that upstream must replace every token; the grant as it then stands, LIVE or not."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _REQUEST_FORCE, key.client, key.user_id, revoke, actor, request_of(actor)
            )
        return await self.load(key) if row is None else self._rows.grant(row)

    async def set_state(
        self, key: UserKey, state: GrantState, reason: str, *, due_at: datetime | None, actor: str
    ) -> Grant | None:
        """Move the grant to a state and return it; None when there is no grant."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _SET_STATE, key.client, key.user_id, state.value, reason, due_at, actor, request_of(actor)
            )
        if row is None:
            return None
        try:
            return self._rows.grant(row)
        except SealBroken:
            if state is GrantState.LIVE:
                raise
            # Who is stopped is stopped whether its tokens open or not: nobody is given them.
            return self._rows.grant(row, with_tokens=False)

    async def _hit(self, statement: str, *arguments: object) -> bool:
        async with self._database.connection() as connection:
            return await connection.fetchval(statement, *arguments) is not None


def _found(row: Row) -> tuple[LineageEntry, Standing]:
    stands = standing(row)
    return LineageEntry(stands.key, row["entry_generation"], row["counts_until"]), stands
