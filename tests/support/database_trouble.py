"""What can ail a PostgreSQL under the whole broker, done past the broker by an operator's own connection."""

import os
import signal
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from tests.e2e.runs import descendants
from tests.support.waiting import eventually

_OURS = "application_name = 'token-broker' AND datname = current_database()"
_BLOCKED = f"SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {_OURS}"
_KILL = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}"


class Operator:
    """A connection of its own that always may write."""

    def __init__(self, connection):
        self._connection = connection

    async def kill_connections(self):
        """End every connection that brokers have to this database."""
        await self._connection.execute(_KILL)

    async def take_no_writes(self):
        """Do what a failover to a standby that was not promoted looks like."""
        name = await self._connection.fetchval("SELECT current_database()")
        await self._connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await self.kill_connections()

    async def take_writes(self):
        """Promote it: the broker's connections stay what they are."""
        name = await self._connection.fetchval("SELECT current_database()")
        await self._connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    @asynccontextmanager
    async def holding(self, table):
        """Keep every row of a table locked; gives a wait for a broker's statement that is held up by it."""

        async def held_up():
            return await self._connection.fetchval(_BLOCKED)

        async with self._connection.transaction():
            await self._connection.execute(f"SELECT FROM {table} FOR UPDATE")
            yield lambda: eventually(held_up)


@asynccontextmanager
async def operator_of(url):
    """Connect past the broker."""
    connection = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    try:
        yield Operator(connection)
    finally:
        connection.terminate()


@contextmanager
def hanging(postgres):
    """Have the server and every process of it stand still: connections are taken, nothing is answered."""
    processes = [postgres.pid, *descendants(postgres.pid)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
