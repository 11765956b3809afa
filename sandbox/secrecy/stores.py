"""Everything that both stores hold, as they hold it: a copy of each table, and each key with its value."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from io import BytesIO
from typing import Any

import asyncpg
import redis

_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    # A table of no bytes has never had a row.
    " AND pg_relation_size(oid) > 0 ORDER BY 1"
)
_READ = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", 0, -1),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


async def all_of_postgres(url: str) -> AsyncIterator[tuple[str, bytes]]:
    """Yield each table's name and its rows in binary form, in which bytes stand as they are."""
    connection = await asyncpg.connect(url)
    try:
        async for table, rows in tables_of(connection):
            yield table, rows
    finally:
        await connection.close()


async def tables_of(connection: asyncpg.Connection) -> AsyncIterator[tuple[str, bytes]]:
    """Do the same over a connection that is open."""
    for (table,) in await connection.fetch(_TABLES):
        rows = BytesIO()
        await connection.copy_from_table(table, output=rows, format="binary")
        yield str(table), rows.getvalue()


def all_of_redis(url: str) -> Iterator[tuple[str, bytes]]:
    """Yield a name for each kind of key, and key and value together; what expires meanwhile is left out."""
    with closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            if kind in _READ:
                command, *more = _READ[kind]
                yield f"a {kind.decode()}", b"\n".join([key, *_flat(_answer(client, command, key, *more))])


def _answer(client: Any, *command: Any) -> Any:  # noqa: ANN401 - as many shapes as Redis has
    return client.execute_command(*command)


def _flat(value: Any) -> Iterator[bytes]:  # noqa: ANN401 - the same
    """Yield every text of an answer, however deep it stands."""
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple | set):
        for part in value:
            yield from _flat(part)
    elif value is not None:
        yield value if isinstance(value, bytes) else str(value).encode()
