"""Stores the first pairs of many users in one statement, and says what is held of many.

A row with anything in its way is passed over and left to `link`, which alone knows what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from service.adapters.postgres.events import NOTE, request_of
from service.adapters.postgres.rows import Rows, stored
from service.adapters.postgres.settlements import next_generation
from service.broker.model import GrantState, HeldPair, Profile

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database
    from service.broker.ports import Fingerprints, NewGrant

_GIVEN = {
    "user_id": "text", "upstream_id": "text", "email": "text", "profile": "text", "key_id": "text",
    "access": "bytea", "refresh": "bytea", "issued_at": "timestamptz", "expires_at": "timestamptz",
    "refresh_at": "timestamptz", "refresh_token_expires_at": "timestamptz", "due_at": "timestamptz",
    "fingerprint": "bytea", "fingerprint_key": "text", "counts_until": "timestamptz",
}  # fmt: skip
"""The columns of a first pair on its way, in their order."""

_FIRST = 8
_ARRAYS = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_GIVEN.values(), start=_FIRST))
_NAMES = ", ".join(_GIVEN)

_LINK = f"""
    WITH given AS (
        SELECT * FROM unnest({_ARRAYS}) AS x ({_NAMES})
    ), placed AS (
        INSERT INTO users (client, user_id, upstream_id, email, profile, created_at, vouched_at)
        SELECT $1, user_id, upstream_id, email, profile::jsonb, $2,
            CASE WHEN $3 THEN $2 ELSE to_timestamp(0) END
        FROM given ON CONFLICT DO NOTHING RETURNING user_id
    ), granted AS (
        INSERT INTO grants (client, user_id, upstream_id, state, reason, generation, key_id, access_sealed,
            refresh_sealed, issued_at, expires_at, refresh_at, refresh_token_expires_at, due_at)
        SELECT $1, user_id, upstream_id, 'LIVE', $4, $5, key_id, access, refresh, issued_at, expires_at,
            refresh_at, refresh_token_expires_at, due_at
        FROM given JOIN placed USING (user_id)
    ), line AS (
        INSERT INTO lineage (fingerprint, key_id, client, user_id, generation, counts_until)
        SELECT fingerprint, fingerprint_key, $1, user_id, $5, counts_until
        FROM given JOIN placed USING (user_id)
        ON CONFLICT (fingerprint, counts_until) DO UPDATE SET generation = excluded.generation,
            client = excluded.client, user_id = excluded.user_id
    ), note AS (
        {NOTE} SELECT $1, user_id, clock_timestamp(), 'act', $4, $5, NULL, NULL, $6, $7 FROM placed
    )
    SELECT user_id FROM placed
"""  # noqa: S608 - constants

_HELD = """
    SELECT user_id, state, upstream_id, issued_at FROM grants WHERE client = $1 AND user_id = ANY($2::text[])
"""
_KNOWN = """
    SELECT DISTINCT x.user_id FROM unnest($2::text[], $3::bytea[]) AS x (user_id, fingerprint)
    JOIN lineage l ON l.fingerprint = x.fingerprint AND l.client = $1 AND l.user_id = x.user_id
"""


class FirstPairs:
    """First pairs, many at a time."""

    def __init__(self, database: Database, rows: Rows, fingerprints: Fingerprints) -> None:
        self._database = database
        self._rows = rows
        self._fingerprints = fingerprints

    async def held(self, client: str, grants: Sequence[NewGrant]) -> dict[str, HeldPair]:
        """Return what is held of these users; see the port."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_HELD, client, [grant.key.user_id for grant in grants])
            there = {row["user_id"] for row in rows}
            noted = [
                (grant.key.user_id, fingerprint.digest)
                for grant in grants
                if grant.key.user_id in there
                for fingerprint in self._fingerprints.of(grant.pair.access_token)
            ]
            known: set[str] = set()
            if noted:
                known = {row[0] for row in await connection.fetch(_KNOWN, client, *zip(*noted, strict=True))}
        return {
            row["user_id"]: HeldPair(
                GrantState(row["state"]), row["upstream_id"], row["issued_at"], row["user_id"] in known
            )
            for row in rows
        }

    async def link_new(
        self, client: str, grants: Sequence[tuple[NewGrant, Profile | None]]
    ) -> frozenset[str]:
        """Store what nothing stands in the way of; see the port."""
        first = grants[0][0]
        async with self._database.connection() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            generation = next_generation(0, now)
            # Else the look-up of a row's user keeps the plan that was made while the table was empty, by an
            # index that does not tell users apart: every batch would take longer than the one before it.
            await connection.execute("DISCARD PLANS")
            columns = zip(*(self._row(*given, generation) for given in grants), strict=True)
            placed = await connection.fetch(
                _LINK, client, now, first.vouch, first.event, generation, first.actor or None,
                request_of(first.actor), *columns,
            )  # fmt: skip
        return frozenset(row["user_id"] for row in placed)

    def _row(self, grant: NewGrant, profile: Profile | None, generation: int) -> tuple[object, ...]:
        key, pair = grant.key, grant.pair
        access, refresh = self._rows.sealed(key, generation, pair)
        fingerprint = self._fingerprints.of(pair.access_token)[0]
        email, details = (None, "{}") if profile is None else (profile.email or None, stored(profile))
        return (
            key.user_id, grant.upstream_id, email, details, self._rows.key_id_of(access),
            access, refresh, pair.issued_at, pair.expires_at,
            pair.refresh_at, pair.refresh_token_expires_at, grant.due_at,
            fingerprint.digest, fingerprint.key_id, grant.counts_until,
        )  # fmt: skip
