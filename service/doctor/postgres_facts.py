"""Reads from PostgreSQL what can be wrong with it: one connection, catalogues and settings, nothing written.

Returns values; `postgres` judges them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

from service.doctor.clocks import Offset, Wall, offset_of

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

SETTINGS = (
    *("server_version", "server_encoding", "fsync", "full_page_writes", "synchronous_commit", "autovacuum"),
    *("checkpoint_timeout", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
    *("max_connections", "superuser_reserved_connections", "reserved_connections", "transaction_read_only"),
)
_SETTINGS = """
    SELECT name, current_setting(name, true) AS value FROM unnest($1::text[]) AS name
"""
_ROLE = """
    SELECT r.rolname AS role, r.rolsuper AS superuser, r.rolconnlimit AS role_limit, d.datconnlimit AS limit,
        current_database() AS name, current_schema() AS schema, pg_is_in_recovery() AS standby,
        to_regclass('grants') IS NOT NULL AS migrated,
        (SELECT relowner = r.oid FROM pg_class WHERE oid = to_regclass('grants')) AS owner
    FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
"""
# Whoever else is connected to the whole server, the broker's own processes apart. What kind of process it is
# that serves another role is nobody's to see.
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND application_name <> 'token-broker'
      AND coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid()
"""
_RIGHTS = """
    SELECT c.relname AS name, array_agg(r ORDER BY r) AS missing
    FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'grants'::regclass)
      AND (c.relname <> 'schema_migrations' OR r = 'SELECT') AND NOT has_table_privilege(c.oid, r)
    GROUP BY 1 ORDER BY 1
"""
_FUNCTIONS = """
    SELECT p.oid::regprocedure::text AS name FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace
      AND p.proowner = (SELECT relowner FROM pg_class WHERE oid = 'grants'::regclass)
      AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1
"""
_INVALID = """
    SELECT indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server and the role say of themselves."""

    settings: Mapping[str, str | None]
    role: str
    superuser: bool
    owner: bool
    database: str
    schema: str
    standby: bool
    migrated: bool
    limits: Sequence[int]
    """How many connections the role and the database may have, where they are limited."""
    others: int
    answered_s: float

    def number(self, setting: str) -> int:
        """Return a setting that is a number; 0 where the server does not know it."""
        return int(self.settings.get(setting) or 0)


async def read_facts(connection: Connection, wall: Wall) -> tuple[Facts, Offset]:
    """Read them, and how far ahead the server's clock is."""
    asked_at, began_s = wall(), time.monotonic()
    there: datetime = await connection.fetchval("SELECT clock_timestamp()")
    took_s = time.monotonic() - began_s
    rows = await connection.fetch(_SETTINGS, list(SETTINGS))
    found = await connection.fetchrow(_ROLE)
    if found is None:
        raise LookupError("the server does not know who is connected")
    facts = Facts(
        settings={row["name"]: row["value"] for row in rows},
        role=found["role"],
        superuser=found["superuser"],
        owner=bool(found["owner"]),
        database=found["name"],
        schema=found["schema"] or "",
        standby=found["standby"],
        migrated=found["migrated"],
        limits=[limit for limit in (found["role_limit"], found["limit"]) if limit >= 0],
        others=await connection.fetchval(_OTHERS),
        answered_s=took_s,
    )
    return facts, offset_of(there.astimezone(UTC), asked_at, took_s)


async def missing_rights(connection: Connection) -> dict[str, list[str]]:
    """Return the tables and functions of the broker that the role may not use as it must."""
    tables = {row["name"]: list(row["missing"]) for row in await connection.fetch(_RIGHTS)}
    functions = {row["name"]: ["EXECUTE"] for row in await connection.fetch(_FUNCTIONS)}
    return tables | functions


async def broken_indexes(connection: Connection) -> list[str]:
    """Return the indexes that were begun and never became valid."""
    return [row["name"] for row in await connection.fetch(_INVALID)]


async def refuses_writes(connection: Connection) -> str:
    """Return why a write is refused, nothing if none is: one that meets no row, taken back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("DELETE FROM grants WHERE false")
        await connection.fetchval("SELECT pg_current_xact_id()")
    except asyncpg.InsufficientPrivilegeError:
        return ""  # the rights are looked at by name
    except asyncpg.PostgresError as error:
        return type(error).__name__
    finally:
        await transaction.rollback()
    return ""
