"""Databases for tests: each a copy of one that was migrated once, which takes milliseconds.

What is done to them goes over one connection that stays: to connect takes longer than all the rest.
"""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sql.migrate import migrate

TEMPLATE = "migrated"


def run(coroutine):
    """Run a coroutine to its end in a thread of its own: this one's event loop may be busy."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def nobody(url):
    """Look at nothing."""


class Databases:
    """Makes and drops databases of one server; `look` is shown each of them before it is dropped."""

    def __init__(self, server_url, look=nobody):
        self._server_url = server_url
        self._look = look
        self._numbers = itertools.count(1)
        self._has_template = False
        self._connection = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @contextmanager
    def migrated(self):
        """Give the address of a new database at this release's schema, and drop it at the end."""
        if not self._has_template:
            self._run(self._make_template())
            self._has_template = True
        with self._database(f"template {TEMPLATE} strategy file_copy") as url:
            yield url

    @contextmanager
    def empty(self):
        """Give the address of a new database with nothing in it, and drop it at the end."""
        with self._database("template template0 strategy file_copy") as url:
            yield url

    def close(self):
        """Let go of the server."""
        if self._connection is not None:
            self._run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    @contextmanager
    def _database(self, how):
        name = f"test_{next(self._numbers)}"
        self._run(self._execute(f"create database {name} {how}"))
        try:
            yield self._url(name)
            self._run(self._look(self._url(name)))
        finally:
            self._run(self._execute(f"drop database {name} with (force)"))

    async def _make_template(self):
        await self._execute(f"drop database if exists {TEMPLATE}")
        await self._execute(f"create database {TEMPLATE} template template0")
        await migrate(self._url(TEMPLATE))

    async def _execute(self, statement):
        """Carry a statement out; after the server was stopped meanwhile, over a new connection."""
        try:
            await (await self._connected()).execute(statement)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            if self._connection is not None:
                self._connection.terminate()
            await (await self._connected()).execute(statement)

    async def _connected(self):
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._server_url)
        return self._connection

    def _url(self, name):
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))
