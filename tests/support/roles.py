"""The two roles of a database, made by the SQL that operators are given."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_ROLES = Path(__file__).parents[2] / "sql" / "roles" / "roles.sql"
MIGRATOR, APP = "token_broker_migrator", "token_broker"


async def two_roles(url):
    """Set the roles up as an administrator; gives the addresses of who migrates and of who serves."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_ROLES.read_text())
        for role in (MIGRATOR, APP):
            await connection.execute(f"ALTER ROLE {role} PASSWORD 'of-{role}'")
    finally:
        await connection.close()
    return tuple(_as(url, role) for role in (MIGRATOR, APP))


def _as(url, role):
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:of-{role}@{at}"))
