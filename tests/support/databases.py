"""Databases for tests: each a copy of one that was migrated once, which takes milliseconds."""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sql.migrate import migrate

TEMPLATE = "migrated"


def run(coroutine):
    """Run a coroutine to its end in a thread of its own: this one's event loop may be busy."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Databases:
    """Makes and drops databases of one server."""

    def __init__(self, server_url, look=lambda _: None):
        """Of the server at this address; `look` is shown each of them before it is dropped."""
        self._server_url = server_url
        self._look = look
        self._numbers = itertools.count(1)
        self._has_template = False

    @contextmanager
    def migrated(self):
        """Give the address of a new database at this release's schema, and drop it at the end."""
        if not self._has_template:
            run(self._make_template())
            self._has_template = True
        with self._database(f"template {TEMPLATE} strategy file_copy") as url:
            yield url

    @contextmanager
    def empty(self):
        """Give the address of a new database with nothing in it, and drop it at the end."""
        with self._database("template template0 strategy file_copy") as url:
            yield url

    @contextmanager
    def _database(self, how):
        name = f"test_{next(self._numbers)}"
        run(self._execute(f"create database {name} {how}"))
        try:
            yield self._url(name)
            self._look(self._url(name))
        finally:
            run(self._execute(f"drop database {name} with (force)"))

    async def _make_template(self):
        await self._execute(f"drop database if exists {TEMPLATE}")
        await self._execute(f"create database {TEMPLATE} template template0")
        await migrate(self._url(TEMPLATE))

    async def _execute(self, statement):
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _url(self, name):
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))
