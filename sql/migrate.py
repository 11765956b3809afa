"""Brings a database to the schema of this release: numbered SQL files, each in one transaction, each once.

Imports asyncpg and the standard library only. No session state: the lock is taken anew in each transaction,
so that it also holds behind a PgBouncer that pools by transaction, and cannot stay behind there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from importlib.resources.abc import Traversable

    from asyncpg import Connection, Record

_LOCK = 0x746F6B656E62726B
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_HISTORY = """
    create table if not exists schema_migrations (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default clock_timestamp()
    )
"""


class MigrationError(Exception):
    """The database and the migrations of this release do not fit together; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells whether the file has changed since it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(dsn: str, folder: Traversable | None = None) -> list[str]:
    """Apply every migration the database lacks and return their names; any number may run at once.

    Raises MigrationError when a file fails or the database's history does not fit; what was applied before
    stays, and the next run goes on from there.
    """
    migrations = read(folder)
    applied: list[str] = []
    async with _connected(dsn) as connection:
        while name := await _apply_next(connection, migrations):
            applied.append(name)
    return applied


async def pending(dsn: str, folder: Traversable | None = None) -> list[str]:
    """Return the names of what the database lacks, changing nothing; MigrationError as `migrate`."""
    migrations = read(folder)
    async with _connected(dsn) as connection, connection.transaction(readonly=True):
        known = await connection.fetchval("select to_regclass('schema_migrations') is not null")
        history = await _history(connection) if known else []
    return [migration.name for migration in _missing(migrations, history)]


def read(folder: Traversable | None = None) -> list[Migration]:
    """Return the migrations of a folder (default: ours) in their order; MigrationError on a bad name."""
    place = folder if folder is not None else resources.files("sql")
    files = sorted(
        (file for file in place.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    migrations = [_parse(file) for file in files]
    for earlier, later in pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationError(
                f"{earlier.name} and {later.name} have the same number: give the newer one the next."
            )
    return migrations


def _parse(file: Traversable) -> Migration:
    parts = _FILE_NAME.fullmatch(file.name)
    if parts is None:
        raise MigrationError(
            f"{file.name} is no name of a migration: it must look like 0007_what_it_does.sql."
        )
    return Migration(int(parts[1]), file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection[Record]]:
    # PgBouncer may hand each transaction another connection: no named prepared statement survives that.
    try:
        connection = await asyncpg.connect(dsn, statement_cache_size=0, target_session_attrs=_wanted(dsn))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The driver's words may hold the address or the password.
        raise MigrationError(
            f"the database cannot be reached ({type(error).__name__}): nothing was applied. Check "
            "TOKEN_BROKER_DATABASE_URL (host, port, database, user and password) and that the server is up."
        ) from None
    try:
        yield connection
    finally:
        await connection.close()


def _wanted(dsn: str) -> SessionAttribute | None:
    """Of several hosts, the one that can be written to."""
    hosts = urlsplit(dsn).netloc.rpartition("@")[2]
    return SessionAttribute.primary if "," in hosts else None


async def _apply_next(connection: Connection[Record], migrations: Sequence[Migration]) -> str | None:
    """Apply the first migration that is missing, in a transaction of its own; None when none is."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({_LOCK})")
        await connection.execute(_HISTORY)
        missing = _missing(migrations, await _history(connection))
        if not missing:
            return None
        await _apply(connection, missing[0])
        return missing[0].name


async def _apply(connection: Connection[Record], migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
    except asyncpg.PostgresError as failure:
        raise MigrationError(
            f"{migration.name} failed{_line(migration, failure)}: {failure}. Nothing of it was applied; "
            "those before it were. Correct the cause and run it again."
        ) from failure
    await connection.execute(
        "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )


def _line(migration: Migration, failure: asyncpg.PostgresError) -> str:
    position = getattr(failure, "position", None)
    return f" in line {migration.sql.count(chr(10), 0, int(position) - 1) + 1}" if position else ""


async def _history(connection: Connection[Record]) -> list[Record]:
    return await connection.fetch("select version, name, checksum from schema_migrations order by version")


def _missing(migrations: Sequence[Migration], history: Sequence[Record]) -> list[Migration]:
    """Return what is not applied yet; MigrationError when what is applied is not what we have."""
    ours = {migration.version: migration for migration in migrations}
    for row in history:
        _compare(ours.get(row["version"]), row)
    last = history[-1]["version"] if history else 0
    missing = [
        migration for migration in migrations if migration.version not in {row["version"] for row in history}
    ]
    if missing and missing[0].version < last:
        raise MigrationError(
            f"{missing[0].name} comes before migration {last}, which the database already has: "
            "it would run in another order than in a new database. Give it the next free number."
        )
    return missing


def _compare(ours: Migration | None, row: Record) -> None:
    if ours is None:
        raise MigrationError(
            f"The database has migration {row['name']}, which this release does not know: it was "
            "migrated by a newer release. Run that release or a later one; nothing was changed."
        )
    if ours.checksum != row["checksum"]:
        raise MigrationError(
            f"{ours.name} has changed since it was applied to this database. Bring the file back as it was "
            "and put the change into a new migration; nothing was changed."
        )
