"""The port ClaimStore over PostgreSQL: claim, stamp anew, settle, end; each one statement.

Claims and distrust windows are stamped and compared with the database's own clock, and with no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from service.adapters.postgres.events import NOTE
from service.adapters.postgres.rows import GRANT_COLUMNS, Row, Rows
from service.adapters.postgres.settlements import Settlements
from service.adapters.postgres.telling import DIED, ONCE
from service.broker.errors import SealBroken
from service.broker.model import Claim, ClaimKind, Grant, UserKey
from service.broker.ports import DueGrant

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database
    from service.broker.ports import Aftermath, Fingerprints, Settlement

_FREE = "(g.claim_owner IS NULL OR g.claimed_at <= clock_timestamp() - $1::interval)"

# Retaking the claim of a force-refresh opens a distrust window: that call may still land.
_TAKE = """
    claim_epoch = g.claim_epoch + 1, claim_kind = 'refresh', claimed_at = clock_timestamp(),
    due_at = clock_timestamp() + $1::interval,
    distrusted_until = CASE WHEN g.claim_owner IS NOT NULL AND g.claim_kind = 'force'
        THEN greatest(g.distrusted_until, clock_timestamp() + $2::interval) ELSE g.distrusted_until END
"""

_CLAIM = f"""
    UPDATE grants g SET claim_owner = $6, {_TAKE} FROM users u
    WHERE g.client = $3 AND g.user_id = $4 AND g.generation = $5 AND g.state = 'LIVE' AND {_FREE}
      AND u.client = g.client AND u.user_id = g.user_id
    RETURNING {GRANT_COLUMNS}
"""  # noqa: S608 - constants

_CLAIM_DUE = f"""
    UPDATE grants g SET claim_owner = $6, {_TAKE}
    FROM (SELECT g.client, g.user_id, g.claim_owner IS NOT NULL AS retaken,
            g.due_at AS was_due_at FROM grants g
          WHERE g.client = $3 AND g.due_at <= $5 AND g.state = 'LIVE' AND {_FREE}
          ORDER BY g.due_at LIMIT $4 FOR UPDATE SKIP LOCKED) due, users u
    WHERE g.client = due.client AND g.user_id = due.user_id
      AND u.client = g.client AND u.user_id = g.user_id
    RETURNING {GRANT_COLUMNS}, due.retaken, due.was_due_at
"""  # noqa: S608 - constants

_RESTAMP = """
    UPDATE grants g SET claimed_at = clock_timestamp(), claim_kind = $5,
        refresh_token_dead = g.refresh_token_dead OR $5 = 'force', due_at = clock_timestamp() + $6::interval
    WHERE g.client = $1 AND g.user_id = $2 AND g.claim_epoch = $3 AND g.claim_owner = $4 AND g.generation = $7
    RETURNING g.client, g.user_id, g.generation, g.claim_owner, g.claim_epoch, g.claim_kind, g.claimed_at
"""

_END_CLAIM = f"""
    WITH ended AS (
        UPDATE grants g SET
            claim_owner = CASE WHEN $5 THEN g.claim_owner END,
            claim_kind = CASE WHEN $5 THEN g.claim_kind END,
            claimed_at = CASE WHEN $5 THEN g.claimed_at END,
            failures = g.failures + CASE WHEN $6::text IS NULL THEN 0 ELSE 1 END,
            last_error = coalesce($6, g.last_error),
            last_error_at = CASE WHEN $6 IS NULL THEN g.last_error_at ELSE clock_timestamp() END,
            retry_at = coalesce($7, g.retry_at),
            due_at = CASE WHEN coalesce($10, g.state) <> 'LIVE' THEN NULL
                WHEN (g.refused AND NOT $16) OR (g.force_pending AND NOT $17) THEN clock_timestamp()
                ELSE coalesce($8::timestamptz, g.due_at) END,
            refresh_token_dead = coalesce($9, g.refresh_token_dead),
            state = coalesce($10, g.state), reason = CASE WHEN $10::text IS NULL THEN g.reason ELSE $11 END,
            distrusted_until = CASE WHEN $12
                THEN greatest(g.distrusted_until, clock_timestamp() + $13::interval)
                ELSE g.distrusted_until END
        WHERE g.client = $1 AND g.user_id = $2 AND g.claim_epoch = $3 AND g.claim_owner = $4
          AND g.generation = $15
        RETURNING g.client, g.user_id, g.upstream_id, g.generation, g.reason
    ), note AS (
        {NOTE} SELECT client, user_id, clock_timestamp(), 'change', $14::text, generation,
            coalesce($11, $6), NULL, NULL, NULL FROM ended WHERE $14::text IS NOT NULL
    ), told AS (
        {DIED} FROM ended WHERE $10 = 'DEAD' {ONCE}
    )
    SELECT generation FROM ended
"""  # noqa: S608 - constants


class PostgresClaims:
    """Claims on grants, and what comes of them."""

    def __init__(
        self,
        database: Database,
        rows: Rows,
        fingerprints: Fingerprints,
        *,
        claim_deadline: timedelta,
        distrust_window: timedelta,
    ) -> None:
        self._database = database
        self._rows = rows
        self._settlements = Settlements(database, rows, fingerprints)
        self._deadline = claim_deadline
        self._window = distrust_window

    async def claim(self, key: UserKey, generation: int, owner: str) -> Grant | None:
        """Commit a claim on exactly this generation; None when it is not to be had."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _CLAIM, self._deadline, self._window, key.client, key.user_id, generation, owner
            )
        return None if row is None else self._rows.grant(row)

    async def claim_due(self, client: str, limit: int, now: datetime, owner: str) -> list[DueGrant]:
        """Commit claims on up to `limit` grants due at `now`, most urgent first; taken ones are skipped."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM_DUE, self._deadline, self._window, client, limit, now, owner)
        rows.sort(key=lambda row: (row["was_due_at"], row["user_id"]))
        return [due for row in rows if (due := self._due(row)) is not None]

    def _due(self, row: Row) -> DueGrant | None:
        """Return a claimed row, or None when its tokens cannot be opened: it must not stop the others."""
        try:
            return DueGrant(self._rows.grant(row), row["retaken"])
        except SealBroken:
            key = UserKey(row["client"], row["user_id"])
            self._database.observer.note("grant.unreadable", key, generation=row["generation"])
            return None

    async def restamp(self, claim: Claim, kind: ClaimKind) -> Claim | None:
        """Start the claim's deadline anew before another upstream call; None when it was lost."""
        key = claim.key
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _RESTAMP,
                key.client,
                key.user_id,
                claim.epoch,
                claim.owner,
                kind.value,
                self._deadline,
                claim.generation,
            )
        return None if row is None else self._rows.claim(row)

    async def settle(self, settlement: Settlement) -> Grant | None:
        """Commit the pair as the next generation with its lineage row; None when the claim was lost."""
        return await self._settlements.settle(settlement)

    async def end_claim(self, claim: Claim, aftermath: Aftermath) -> bool:
        """Write how the claim ended; False when it was no longer ours."""
        async with self._database.connection() as connection:
            ended = await connection.fetchval(
                _END_CLAIM,
                claim.key.client,
                claim.key.user_id,
                claim.epoch,
                claim.owner,
                aftermath.keep_claim,
                aftermath.failed,
                aftermath.retry_at,
                aftermath.due_at,
                aftermath.refresh_token_dead,
                aftermath.state,
                aftermath.reason,
                aftermath.distrust,
                self._window,
                aftermath.event,
                claim.generation,
                aftermath.known.refused,
                aftermath.known.force_pending,
            )
        return ended is not None
