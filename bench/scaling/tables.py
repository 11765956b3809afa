"""What stands in a database and how much of it is written: sizes, rows, index entries, WAL."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

_SIZES = """
    SELECT c.relname AS name, pg_table_size(c.oid) AS bytes FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'i')
      AND c.relname = ANY($1::text[])
"""
_ROWS = """
    SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint AS rows,
        coalesce(sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) * coalesce(i.n, 0)), 0)::bigint AS entries
    FROM pg_stat_user_tables t
    LEFT JOIN (SELECT indrelid, count(*) AS n FROM pg_index GROUP BY indrelid) i ON i.indrelid = t.relid
"""
_INDEXES = ("grants_due", "grants_pkey")


@dataclass(frozen=True, slots=True)
class Written:
    """What has been written in all: rows, entries of indexes, and the position in the write-ahead log."""

    rows: int
    entries: int
    wal: int

    def each(self, before: Written, refreshes: int) -> dict[str, float]:
        """Return what was written since for each refresh."""
        return {
            "rows": (self.rows - before.rows) / refreshes,
            "index_entries": (self.entries - before.entries) / refreshes,
            "wal_bytes": (self.wal - before.wal) / refreshes,
        }


async def written(url: str) -> Written:
    """Return what has been written; whoever wrote has closed the connection, so that it is counted."""
    connection = await asyncpg.connect(url)
    wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    row = await connection.fetchrow(_ROWS)
    await connection.close()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return Written(row["rows"], row["entries"], int(wal))


async def sizes(url: str) -> dict[str, object]:
    """Return how large the grants, their indexes and the whole database are, in bytes."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(_SIZES, ["grants", *_INDEXES])
    whole = await connection.fetchval("SELECT pg_database_size(current_database())")
    await connection.close()
    return {"database_bytes": whole} | {f"{row['name']}_bytes": row["bytes"] for row in rows}


async def full_pages(url: str, *, on: bool) -> None:
    """Have whole pages written to the log after a checkpoint, or not; begins with a checkpoint."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER SYSTEM SET full_page_writes = {'on' if on else 'off'}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.execute("CHECKPOINT")
    await connection.close()
