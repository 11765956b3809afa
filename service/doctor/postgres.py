"""Looks at PostgreSQL: whether it can be reached, takes writes, keeps what it commits, and has room.

One connection, made as the service makes its own; what was read is judged in `postgres_rules`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg

from service.doctor.clocks import Offset, Wall
from service.doctor.findings import Finding, doubtful, fine, unseen, wrong
from service.doctor.postgres_facts import (
    Facts,
    broken_indexes,
    missing_rights,
    read_facts,
    refuses_writes,
)
from service.doctor.postgres_rules import (
    judge_durability,
    judge_indexes,
    judge_rights,
    judge_role,
    judge_room,
    judge_writes,
)
from service.doctor.stored import examine_clients, examine_lineage, examine_pairs
from sql.migrate import MigrationError, pending

if TYPE_CHECKING:
    from service.doctor.postgres_facts import Connection
    from service.settings import Settings

URL = "TOKEN_BROKER_DATABASE_URL"
_CONNECT_WITHIN_S = 5.0
_LOOK_WITHIN_S = 3.0

_UNREACHABLE: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        socket.gaierror,
        "its host cannot be resolved",
        f"Correct the host in {URL}, or the DNS of this machine.",
    ),
    (
        ssl.SSLError,
        "its certificate is not accepted",
        f"Name the right authority in {URL} (sslrootcert=), and the host as the certificate has it.",
    ),
    (
        ConnectionRefusedError,
        "nothing listens there",
        f"Start PostgreSQL, or correct host and port in {URL}.",
    ),
    (
        TimeoutError,
        "it did not answer in time",
        f"Let this machine reach it (firewall, network policy), or correct host and port in {URL}.",
    ),
    (
        asyncpg.InvalidPasswordError,
        "it refuses the password",
        f"Put the role's password into {URL}, or set it again with \\password in psql.",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "it does not let this role in",
        f"Correct the user in {URL}, or allow it in pg_hba.conf.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "it has no database of that name",
        f"Create the database, or correct its name in {URL}.",
    ),
    (
        asyncpg.TooManyConnectionsError,
        "it has no connection left",
        "Raise max_connections (or the role's CONNECTION LIMIT), or put PgBouncer in front.",
    ),
    (
        asyncpg.CannotConnectNowError,
        "it is starting or stopping",
        "Wait until it is up; if it stays so, its own log says why.",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "this role may not connect to the database",
        "As its administrator run sql/roles/roles.sql in it.",
    ),
)


async def examine_postgres(settings: Settings, offsets: dict[str, Offset], wall: Wall) -> list[Finding]:
    """Return everything that is to be said of the database."""
    dsn = settings.database_url.value
    if not dsn:
        return [unseen("postgres", f"not looked at: {URL} cannot be used")]
    try:
        async with _connected(dsn) as connection:
            return await _examine(connection, settings, offsets, wall)
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        ValueError,
    ) as error:
        return [_unreachable(error)]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    # PgBouncer may hand each transaction another connection: nothing that is prepared survives that.
    named = {"application_name": "token-broker"}
    async with asyncio.timeout(_CONNECT_WITHIN_S):
        connection = await asyncpg.connect(dsn, statement_cache_size=0, server_settings=named)
    try:
        yield connection
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(1):
                await connection.close()
        connection.terminate()


def _unreachable(error: BaseException) -> Finding:
    """Say why there is no connection; the driver's own words may hold what is secret."""
    for kind, what, mend in _UNREACHABLE:
        if isinstance(error, kind):
            return wrong("postgres.reachable", f"PostgreSQL cannot be used: {what}", mend)
    what = f"PostgreSQL cannot be used ({type(error).__name__})"
    return wrong(
        "postgres.reachable", what, f"Correct {URL}, and see that the server is up and takes this role."
    )


async def _examine(
    connection: Connection, settings: Settings, offsets: dict[str, Offset], wall: Wall
) -> list[Finding]:
    facts, offsets["PostgreSQL's"] = await read_facts(connection, wall)
    found = [
        _reached(facts, settings),
        *judge_durability(facts),
        judge_room(facts, settings),
        *judge_role(facts, settings),
    ]
    found.append(await _migrations(settings.database_url.value))
    if not facts.migrated:
        return found
    found.append(judge_writes(facts, await refuses_writes(connection)))
    found.append(judge_rights(facts, await missing_rights(connection)))
    found += judge_indexes(await broken_indexes(connection))
    for check, look in _STORED.items():
        found += await _looked(check, look(connection, settings))
    return found


_STORED = {
    "keys.encryption_keys": examine_pairs,
    "keys.fingerprint_keys": examine_lineage,
    "worker": examine_clients,
}


async def _looked(check: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    """Look at rows; that they may not be read, or not soon, takes nothing from what else is known."""
    try:
        async with asyncio.timeout(_LOOK_WITHIN_S):
            return await look
    except asyncpg.InsufficientPrivilegeError:
        return [unseen(check, "the role may not read the rows: postgres.rights says which")]
    except (TimeoutError, asyncpg.QueryCanceledError):
        what = "it took too long to read the rows, so this is not known"
        return [doubtful(check, what, "Run it again when the database is less busy.")]


def _reached(facts: Facts, settings: Settings) -> Finding:
    """Say that it answers, and how soon beside what one statement may take."""
    took = f"{facts.answered_s * 1000:.1f} ms"
    if facts.answered_s > settings.database_timeout.total_seconds() / 10:
        what = f"PostgreSQL takes {took} to tell the time: a tenth of TOKEN_BROKER_DATABASE_TIMEOUT or more"
        return doubtful(
            "postgres.reachable", what, "Bring the broker nearer to it, or see what keeps the server busy."
        )
    return fine("postgres.reachable", f"PostgreSQL {facts.settings['server_version']} answers in {took}")


async def _migrations(dsn: str) -> Finding:
    try:
        names = await pending(dsn)
    except MigrationError as error:
        return wrong("postgres.migrations", f"{error}", "Run the release that these migrations are of.")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return unseen("postgres.migrations", f"cannot be compared ({type(error).__name__})")
    if names:
        what = f"the database lacks {', '.join(names)}: this release claims nothing before it has them"
        return wrong("postgres.migrations", what, "Run: token-broker migrate")
    return fine("postgres.migrations", "the schema is at this release")
