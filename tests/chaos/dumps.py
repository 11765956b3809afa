"""What both stores hold, written down for the checker: rows it reads, and everything for the secrecy scan."""

from __future__ import annotations

import asyncio
import urllib.request
from contextlib import closing
from pathlib import Path

import asyncpg
import redis

from sql.migrate import migrate
from tests.chaos import folder as names
from tests.chaos.setup import HOST

_AUDIT = Path(__file__).with_name("audit.sql")
_MS = "extract(epoch FROM {0})::float8 * 1000 AS {0}_ms"
_ROWS = {
    names.AUDIT: "SELECT user_id, upstream_id::bigint AS user, state, generation, claim_owner,"
    f" claim_epoch, claim_kind, refresh_token_dead, {_MS.format('at')}, {_MS.format('claimed_at')}"
    " FROM chaos_audit ORDER BY id",
    names.GRANTS: "SELECT user_id, upstream_id::bigint AS user, state, reason, generation,"
    " refresh_token_dead, claim_owner, distrusted_until, refused FROM grants",
    names.LINEAGE: "SELECT encode(fingerprint, 'hex') AS fingerprint, upstream_id::bigint AS user, generation"
    " FROM lineage JOIN users USING (client, user_id)",
}
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def prepare(url):
    """Bring an empty database to this release's schema, and have it note what happens to claims."""

    async def run():
        await migrate(url)
        await _with(url, lambda connection: connection.execute(_AUDIT.read_text()))

    asyncio.run(run())


def massacre(url):
    """End every connection but our own; returns how many."""
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return asyncio.run(_with(url, lambda connection: connection.fetchval(kill)))


def dump_rows(url, folder):
    """Write the rows that the checker reads."""

    async def run(connection):
        for name, query in _ROWS.items():
            rows = [dict(row) for row in await connection.fetch(query)]
            names.write_lines(folder / name, rows)

    asyncio.run(_with(url, run))


def dump_database(url, folder):
    """Write every row of every table as it stands, raw bytes as they are."""

    async def run(connection):
        with (folder / names.OUTPUT / "postgres.dump").open("wb") as file:
            for (table,) in await connection.fetch(_TABLES):
                async for row in _rows_of(connection, table):
                    file.writelines(_raw(value) for value in row.values())

    asyncio.run(_with(url, run))


async def _rows_of(connection, table):
    async with connection.transaction():
        async for row in connection.cursor(f'SELECT * FROM "{table}"'):
            yield row


def dump_redis(url, folder, name="redis.dump"):
    """Write every key with its value; what Redis does not say now is left out."""
    with (folder / names.OUTPUT / name).open("ab") as file, closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter(count=1000):
            file.writelines((_raw(key), _raw(_value(client, key))))


def dump_metrics(ports, folder):
    """Write what a process says at /metrics."""
    url = f"http://{HOST}:{ports['observe']}/metrics"
    with (
        urllib.request.urlopen(url, timeout=0.5) as answer,
        (folder / names.OUTPUT / "metrics").open("ab") as file,
    ):
        file.write(answer.read())


def _value(client, key):
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"hash":
            return client.hgetall(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"stream":
            return client.xrange(key)
    return None


def _raw(value):
    return (value if isinstance(value, bytes) else str(value).encode()) + b"\n"


async def _with(url, work):
    connection = await asyncpg.connect(url)
    try:
        return await work(connection)
    finally:
        await connection.close()
