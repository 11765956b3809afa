"""Brings a database to the schema of this release: numbered SQL files, each once, while callers go on.

Imports asyncpg and the standard library only. No session state: the lock is taken anew in each transaction,
so that it also holds behind a PgBouncer that pools by transaction, and cannot stay behind there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from sql.files import Migration, MigrationError, oldest_beside, read
from sql.patience import Held, Patience, holders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from importlib.resources.abc import Traversable

    from asyncpg import Connection, Record

__all__ = ["MigrationError", "migrate", "pending", "read"]

LOCK = 0x746F6B656E62726B
_HISTORY = """
    create table if not exists schema_migrations (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default clock_timestamp()
    )
"""
# Whoever needs a table waits behind the one who waits for it alone: half a second, then let them pass.
_MANNERS = """
    set local lock_timeout = '500ms';
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0
"""
_INVALID = "select from pg_index where indexrelid = to_regclass($1) and not indisvalid"
_AT_WORK = """
    select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and (classid::bigint << 32 | objid::bigint) = $1
"""
_BUILDERS = "select pid from pg_stat_progress_create_index where index_relid = to_regclass($1)"
_LOST = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(slots=True)
class _Run:
    """What one run of the migrator knows."""

    dsn: str
    migrations: Sequence[Migration]
    patience: Patience
    stopped: bool
    began_at: int | None = None
    """The database's last migration when the run began: what the processes know that are serving now."""


async def migrate(
    dsn: str,
    folder: Traversable | None = None,
    *,
    say: Callable[[str], None] = _silent,
    patience_s: float = 120.0,
    stopped: bool = False,
) -> list[str]:
    """Apply every migration the database lacks and return their names; any number may run at once.

    A table that somebody holds is waited for with `patience_s` in all, never for long at a time; `say` is
    told what for. What takes something away that the release before still uses is refused, unless all
    processes are `stopped`. Raises MigrationError when a file fails, patience ends or the database's history
    does not fit; what was applied before stays, and the next run goes on from there.
    """
    run = _Run(dsn, read(folder), Patience(patience_s, say), stopped)
    applied: list[str] = []
    async with _connected(dsn) as connection:
        while True:
            try:
                name = await _apply_next(connection, run)
            except Held as held:
                await run.patience.wait(held, await holders(connection))
                continue
            except _LOST as lost:
                raise MigrationError(
                    f"the connection to the database was lost ({type(lost).__name__}). What was applied "
                    "stays, of the migration at work nothing; run it again when the database is well."
                ) from None
            if name is None:
                return applied
            applied.append(name)
            run.patience.renew()


async def pending(dsn: str, folder: Traversable | None = None) -> list[str]:
    """Return the names of what the database lacks, changing nothing; MigrationError as `migrate`."""
    migrations = read(folder)
    async with _connected(dsn) as connection, connection.transaction(readonly=True):
        return [migration.name for migration in _missing(migrations, await _history(connection))]


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


@asynccontextmanager
async def _alone(connection: Connection[Record], patience: Patience) -> AsyncIterator[None]:
    """One transaction that no other migrator's runs beside.

    Asked for again and again, because a statement that waits for the lock would hold up, as every old
    snapshot does, the index that the other migrator builds concurrently: each would wait for the other.
    """
    while True:
        async with connection.transaction():
            if await connection.fetchval(f"select pg_try_advisory_xact_lock({LOCK})"):
                await connection.execute(_MANNERS)
                yield
                return
            other = await connection.fetchval(_AT_WORK, LOCK)
        # One whose machine is gone is at work until the server notices, or somebody ends it.
        await patience.pause(f"another migrator is at work: process {other or '?'} of the server")


async def _apply_next(connection: Connection[Record], run: _Run) -> str | None:
    """Apply the first migration that is missing and note it; None when none is."""
    async with _alone(connection, run.patience):
        history = await _history(connection)
        missing = _missing(run.migrations, history)
        if run.began_at is None:
            run.began_at = history[-1]["version"] if history else 0
        if not missing:
            return None
        migration = missing[0]
        _refuse_too_early(run, migration)
        await connection.execute(_HISTORY)
        if migration.outside:
            # This transaction keeps other migrators out; without a snapshot it holds nothing else up.
            async with _connected(run.dsn) as outside:
                await _sweep_up(outside, migration, run.patience)
                await _execute(outside, migration)
        else:
            await _execute(connection, migration)
        await _note(connection, migration)
        return migration.name


def _refuse_too_early(run: _Run, migration: Migration) -> None:
    """Refuse to take away what the processes that serve now still use; a new database has none."""
    needed = oldest_beside(migration.name)
    if run.began_at and run.began_at < needed and not run.stopped:
        raise MigrationError(
            f"{migration.name} takes away what releases without migration {needed} still use, and one of "
            f"them may be serving. Upgrade to a release that has migration {needed} first and replace every "
            "process, or stop every process and run: token-broker migrate --stopped"
        )


async def _sweep_up(connection: Connection[Record], migration: Migration, patience: Patience) -> None:
    """Drop the invalid index that a build leaves behind when it is killed."""
    if migration.index is None:
        return
    # The server only notices later that its migrator was killed: until then it goes on building.
    while builder := await connection.fetchval(_BUILDERS, migration.index):
        await patience.pause(f"process {builder} of the server is still building {migration.index}")
    if await connection.fetchrow(_INVALID, migration.index) is not None:
        await connection.execute(f"drop index concurrently if exists {migration.index}")


async def _execute(connection: Connection[Record], migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as held:
        raise Held(migration.name) from held
    except _LOST:
        raise
    except asyncpg.PostgresError as failure:
        raise MigrationError(
            f"{migration.name} failed{_line(migration, failure)}: {failure}. Nothing of it was applied; "
            "those before it were. Correct the cause and run it again."
        ) from failure


async def _note(connection: Connection[Record], migration: Migration) -> None:
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
    if await connection.fetchval("select to_regclass('schema_migrations') is null"):
        return []
    return await connection.fetch("select version, name, checksum from schema_migrations order by version")


def _missing(migrations: Sequence[Migration], history: Sequence[Record]) -> list[Migration]:
    """Return what is not applied yet; MigrationError when what is applied is not what we have."""
    ours = {migration.version: migration for migration in migrations}
    newest = max(ours, default=0)
    for row in history:
        _compare(ours.get(row["version"]), row, newest)
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


def _compare(ours: Migration | None, row: Record, newest: int) -> None:
    """Refuse what does not fit; a newer release's migration does, unless it took away what we still use."""
    if ours is None and row["version"] <= newest:
        raise MigrationError(
            f"The database has migration {row['name']}, and this release has none of that number: they were "
            "not made for each other. Nothing was changed."
        )
    if ours is None and oldest_beside(row["name"]) > newest:
        raise MigrationError(
            f"The database has migration {row['name']}, which took away what this release still uses: "
            f"run a release that has migration {oldest_beside(row['name'])} or later; nothing was changed."
        )
    if ours is not None and ours.checksum != row["checksum"]:
        raise MigrationError(
            f"{ours.name} has changed since it was applied to this database. Bring the file back as it was "
            "and put the change into a new migration; nothing was changed."
        )
