"""What stands in a database and how much of it is written: sizes, rows, entries of indexes, the log."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

_SIZES = """
    SELECT c.relname AS name, pg_table_size(c.oid) AS bytes FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY($1::text[])
"""
_ROWS = "SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint FROM pg_stat_user_tables"
_NOW = "SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn"
# As the log has them: an index whose condition a row does not meet gets no entry. A split of a page comes
# with the entry that there was no room for.
_ENTRIES = r"""
    SELECT coalesce(sum(count), 0)::bigint
    FROM pg_get_wal_stats('0/0'::pg_lsn + $1::numeric, '0/0'::pg_lsn + $2::numeric, true)
    WHERE "resource_manager/record_type" ~ '^Btree/(INSERT_LEAF|INSERT_POST|SPLIT_)'
"""
_SHOWN = ("grants", "grants_due", "grants_pkey")


@dataclass(frozen=True, slots=True)
class Written:
    """What has been written in all: rows, and the position in the server's log."""

    rows: int
    at: int


async def written(url: str) -> Written:
    """Return what has been written; whoever wrote has closed the connection, so that it is counted."""
    connection = await asyncpg.connect(url)
    rows, at = await connection.fetchval(_ROWS), await connection.fetchval(_NOW)
    await connection.close()
    return Written(int(rows), int(at))


async def between(url: str, before: Written, after: Written, refreshes: int) -> dict[str, float]:
    """Return what was written for each refresh."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    entries = await connection.fetchval(_ENTRIES, before.at, after.at)
    await connection.close()
    return {
        "rows": (after.rows - before.rows) / refreshes,
        "index_entries": entries / refreshes,
        "wal_bytes": (after.at - before.at) / refreshes,
    }


async def sizes(url: str) -> dict[str, object]:
    """Return how large the grants, their indexes and the whole database are, in bytes."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(_SIZES, _SHOWN)
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
