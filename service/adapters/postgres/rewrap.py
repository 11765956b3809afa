"""Seals stored pairs anew under the first key, a page of rows at a time, beside everything that runs.

A row is written only as it was read: whatever changed meanwhile is left to whoever changed it. A row that
somebody holds is passed over and never waited for, so this can delay callers and cannot deadlock with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from service.adapters.postgres.rows import Row
from service.adapters.vault import Vault, key_id_of
from service.broker.errors import SealBroken

if TYPE_CHECKING:
    from service.adapters.postgres.database import Database

_COUNT_WITHIN_S = 60

_PAGE = """
    SELECT client, user_id, generation, key_id,
        CASE WHEN key_id <> $4 THEN access_sealed END AS access_sealed,
        CASE WHEN key_id <> $4 THEN refresh_sealed END AS refresh_sealed
    FROM grants WHERE (client, user_id) > ($1, $2) ORDER BY client, user_id LIMIT $3
"""

_RESEAL = """
    WITH given AS (
        SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[],
            $8::bytea[]) AS x (client, user_id, generation, was_access, was_refresh, access, refresh)
    ), free AS (
        SELECT g.client, g.user_id, x.access, x.refresh FROM grants g JOIN given x USING (client, user_id)
        WHERE g.generation = x.generation AND g.access_sealed = x.was_access
          AND g.refresh_sealed = x.was_refresh
        FOR UPDATE OF g SKIP LOCKED
    )
    UPDATE grants g SET key_id = $1, access_sealed = free.access, refresh_sealed = free.refresh
    FROM free WHERE g.client = free.client AND g.user_id = free.user_id
"""

_SEALED = "SELECT key_id, count(*) AS n FROM grants GROUP BY 1 ORDER BY 1"
_NOTED = """
    SELECT key_id, count(*) AS n, max(counts_until) AS until FROM lineage
    WHERE counts_until > clock_timestamp() GROUP BY 1 ORDER BY 1
"""

Place = tuple[str, str]
START: Place = ("", "")


@dataclass(frozen=True, slots=True)
class Page:
    """What came of a page: `after` is where the next one begins, None when there is none.

    `missed` rows were held or changed by somebody; `broken` ones do not open with the key they name.
    """

    after: Place | None
    resealed: int
    missed: int
    broken: int


@dataclass(frozen=True, slots=True)
class Noted:
    """Fingerprints under one key that still count, and until when the last of them does."""

    count: int
    until: datetime


class PostgresRewrap:
    """The stored pairs, by the keys that sealed them."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def sealed(self) -> dict[str, int]:
        """Return how many rows each key has sealed."""
        return {row["key_id"]: row["n"] for row in await self._count(_SEALED)}

    async def noted(self) -> dict[str, Noted]:
        """Return the fingerprints that still count, by key."""
        return {row["key_id"]: Noted(row["n"], row["until"]) for row in await self._count(_NOTED)}

    async def page(self, after: Place, size: int) -> Page:
        """Seal anew what can be among the next `size` rows; rows under a key that is not held stay."""
        first = self._vault.writes_with
        async with self._database.connection() as connection:
            rows = await connection.fetch(_PAGE, *after, size, first)
        held = [row for row in rows if row["key_id"] != first and self._vault.holds(row["key_id"])]
        anew = [(row, pair) for row in held if (pair := self._anew(row)) is not None]
        resealed = await self._write(first, anew) if anew else 0
        last = (rows[-1]["client"], rows[-1]["user_id"]) if len(rows) == size else None
        return Page(last, resealed, len(anew) - resealed, len(held) - len(anew))

    def _anew(self, row: Row) -> tuple[bytes, bytes] | None:
        """Return both tokens sealed under the first key; None when they do not open."""
        try:
            return self._reseal(row, "access"), self._reseal(row, "refresh")
        except SealBroken:
            return None

    def _reseal(self, row: Row, column: str) -> bytes:
        bound = {"client": row["client"], "user_id": row["user_id"], "generation": row["generation"]}
        token = self._vault.open(row[f"{column}_sealed"], column=column, **bound)
        return self._vault.seal(token, column=column, **bound)

    async def _write(self, first: str, anew: list[tuple[Row, tuple[bytes, bytes]]]) -> int:
        assert all(key_id_of(sealed) == first for _, pair in anew for sealed in pair)  # noqa: S101 - one ring
        names = ("client", "user_id", "generation", "access_sealed", "refresh_sealed")
        async with self._database.connection() as connection:
            done = await connection.execute(
                _RESEAL,
                first,
                *([row[name] for row, _ in anew] for name in names),
                [access for _, (access, _) in anew],
                [refresh for _, (_, refresh) in anew],
            )
        return int(done.rsplit(" ", 1)[1])

    async def _count(self, statement: str) -> list[Row]:
        async with self._database.connection() as connection, connection.transaction():
            # It reads a whole table, which may take longer than a caller's statement.
            await connection.execute(f"SET LOCAL statement_timeout = '{_COUNT_WITHIN_S}s'")
            rows: list[Row] = await connection.fetch(statement, timeout=_COUNT_WITHIN_S)
        return rows
