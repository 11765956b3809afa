"""Commits new pairs over their claims, in groups: what is asked for while a commit is out goes with the next.

Each row is fenced by its own claim, and each caller is told once its own row is committed. What a group did
not settle, whatever the reason, its caller settles alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from service.adapters.batches import Batcher
from service.adapters.postgres.events import NOTE
from service.adapters.postgres.rows import GRANT_COLUMNS, Rows
from service.adapters.postgres.telling import ABOUT_GRANT, ONCE, TELL
from service.broker.errors import StorageUnavailable
from service.broker.model import Grant

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database
    from service.broker.model import TokenPair
    from service.broker.ports import Fingerprints, Settlement

_MOST_TOGETHER = 64
_OUT_AT_ONCE = 2
"""The second is for when the first is stuck: a connection that died without a word holds up one group."""

_GIVEN = {
    "client": "text", "user_id": "text", "epoch": "bigint", "owner": "text", "claimed": "bigint",
    "generation": "bigint", "key_id": "text", "access": "bytea", "refresh": "bytea",
    "issued_at": "timestamptz", "expires_at": "timestamptz", "refresh_at": "timestamptz",
    "refresh_token_expires_at": "timestamptz", "used": "boolean", "due_at": "timestamptz",
    "fingerprint": "bytea", "fingerprint_key": "text", "counts_until": "timestamptz", "trigger": "text",
}  # fmt: skip
"""The columns of a settlement on its way, in their order."""

_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_GIVEN.values(), start=1))
_NAMES = ", ".join(_GIVEN)
_STORED_COLUMNS = GRANT_COLUMNS.replace("g.access_sealed, g.refresh_sealed,", "")
"""What a grant is made of, without the tokens: whoever commits them has them in hand."""

# A plain rotation leaves a pending force pending: it does not replace the tokens issued before.
_SETTLE = f"""
    WITH held AS MATERIALIZED (
        SELECT x.*, g.claim_kind FROM unnest({_ARRAYS}) WITH ORDINALITY AS x ({_NAMES}, place)
        JOIN grants g ON g.client = x.client AND g.user_id = x.user_id AND g.claim_epoch = x.epoch
            AND g.claim_owner = x.owner AND g.generation = x.claimed %(only)s
        FOR NO KEY UPDATE OF g %(locked)s
    ), settled AS (
        UPDATE grants g SET generation = x.generation, key_id = x.key_id, access_sealed = x.access,
            refresh_sealed = x.refresh, issued_at = x.issued_at, expires_at = x.expires_at,
            refresh_at = x.refresh_at, refresh_token_expires_at = x.refresh_token_expires_at,
            first_used_at = CASE WHEN x.used THEN x.issued_at END,
            force_pending = g.force_pending AND g.claim_kind <> 'force',
            due_at = CASE WHEN g.state <> 'LIVE' THEN NULL
                WHEN g.force_pending AND g.claim_kind <> 'force' THEN x.issued_at ELSE x.due_at END,
            claim_owner = NULL, claim_kind = NULL, claimed_at = NULL, refused = false,
            refresh_token_dead = false, failures = 0, retry_at = NULL
        FROM held x, users u
        WHERE g.client = x.client AND g.user_id = x.user_id AND g.claim_epoch = x.epoch
          AND g.claim_owner = x.owner AND g.generation = x.claimed
          AND u.client = x.client AND u.user_id = x.user_id
        RETURNING {_STORED_COLUMNS}, x.place, x.fingerprint, x.fingerprint_key, x.counts_until, x.trigger,
            x.claim_kind = 'force' AND x.trigger <> 'forced' AS recovered
    ), line AS (
        INSERT INTO lineage (fingerprint, key_id, client, user_id, generation, counts_until)
        SELECT fingerprint, fingerprint_key, client, user_id, generation, counts_until FROM settled
    ), note AS (
        {NOTE} SELECT client, user_id, clock_timestamp(), 'change', 'refresh.rotated', generation,
            NULL, trigger, NULL, NULL FROM settled
    ) %(told)s
    SELECT * FROM settled
"""  # noqa: S608 - constants

_TOLD = f"""
    , told AS (
        {TELL} SELECT 'grant.recovered', client, user_id, generation::text,
            jsonb_build_object({ABOUT_GRANT}, 'forced') FROM settled WHERE recovered {ONCE}
    )
"""  # noqa: S608 - constants

# What was had by force is rare, and may have to be told of: it goes alone, and costs the others nothing.
_TOGETHER = _SETTLE % {"only": "AND g.claim_kind <> 'force'", "locked": "SKIP LOCKED", "told": ""}
_ALONE = _SETTLE % {"only": "", "locked": "", "told": _TOLD}


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A settlement as it is written; sealed once, however often it is tried."""

    pair: TokenPair
    values: tuple[object, ...]


class Settlements:
    """Commits the pairs of one process."""

    def __init__(self, database: Database, rows: Rows, fingerprints: Fingerprints) -> None:
        self._database = database
        self._rows = rows
        self._fingerprints = fingerprints
        self._groups: Batcher[_Row, Grant | None] = Batcher(
            self._settle_together, most=_MOST_TOGETHER, in_flight=_OUT_AT_ONCE
        )

    async def settle(self, settlement: Settlement) -> Grant | None:
        """Commit the pair; None when the claim was lost. Who is cancelled does not stop the commit."""
        row = self._row(settlement)
        settled = await self._groups.ask(row)
        if settled is None:
            # Lost, or locked by another just now, or in a group that could not be stored, or had by force.
            (settled,) = await self._commit(_ALONE, [row])
        return settled

    async def _settle_together(self, group: Sequence[_Row], _: float) -> list[Grant | None]:
        """Commit what can be committed at once; a row that is locked must not hold up the others."""
        try:
            return await self._commit(_TOGETHER, group)
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001 - one that cannot be stored must not take the others along
            return [None] * len(group)

    async def _commit(self, statement: str, group: Sequence[_Row]) -> list[Grant | None]:
        columns = zip(*(row.values for row in group), strict=True)
        async with self._database.connection() as connection:
            stored = await connection.fetch(statement, *columns)
        settled: list[Grant | None] = [None] * len(group)
        for one in stored:
            place: int = one["place"] - 1
            settled[place] = self._rows.grant(one, pair=group[place].pair)
        return settled

    def _row(self, settlement: Settlement) -> _Row:
        claim, pair = settlement.claim, settlement.pair
        generation = next_generation(claim.generation, claim.claimed_at)
        access, refresh = self._rows.sealed(claim.key, generation, pair)
        fingerprint = self._fingerprints.of(pair.access_token)[0]
        values = (
            claim.key.client, claim.key.user_id, claim.epoch, claim.owner, claim.generation,
            generation, self._rows.key_id_of(access), access, refresh,
            pair.issued_at, pair.expires_at, pair.refresh_at,
            pair.refresh_token_expires_at, settlement.used, settlement.due_at,
            fingerprint.digest, fingerprint.key_id, settlement.counts_until, settlement.trigger.value,
        )  # fmt: skip
        return _Row(pair, values)


def next_generation(old: int, now: datetime) -> int:
    """Return the generation after `old`: the database clock in ms, and never one that was used."""
    return max(old + 1, int(now.timestamp() * 1000))
