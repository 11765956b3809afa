"""The connection pool, and what counts as "the database cannot answer".

Error texts of the driver can hold values: only their class and SQLSTATE go any further.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import asyncpg

from service.adapters.postgres.turns import Turns
from service.broker.errors import Invalid, StorageUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from service.broker.ports import Observer

    Connection = PoolConnectionProxy[asyncpg.Record]
    AnyConnection = Connection | asyncpg.Connection[asyncpg.Record]
    OnConnect = Callable[[AnyConnection], Awaitable[None]]


class SchemaBehindError(Exception):
    """The schema is older than this release: run token-broker migrate."""


_CANNOT_ANSWER = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    SchemaBehindError,
)

_UNFIT = (
    asyncpg.DataError,
    asyncpg.NotNullViolationError,
    asyncpg.CheckViolationError,
    UnicodeError,
    OverflowError,
)
"""What is wrong with a value, not with the database; the driver's own words would show the value."""

_SCHEMA = "SELECT coalesce(max(version), 0) FROM schema_migrations"
_USABLE = """
    SELECT to_regclass('grants') IS NOT NULL AS migrated,
        current_setting('transaction_read_only') = 'off' AS writable
"""


Given = ParamSpec("Given")
Done = TypeVar("Done")

_PLANS = 3


def replanned(work: Callable[Given, Coroutine[Any, Any, Done]]) -> Callable[Given, Coroutine[Any, Any, Done]]:
    """Do a whole transaction again when the schema changed under what it had prepared: nothing was done.

    The driver does so by itself for a single statement, and has let go of everything it had prepared.
    """

    @wraps(work)
    async def done(*args: Given.args, **kwargs: Given.kwargs) -> Done:
        for _ in range(_PLANS):
            with suppress(asyncpg.InvalidCachedStatementError):
                return await work(*args, **kwargs)
        raise StorageUnavailable

    return done


class Database:
    """A pool that connects when it is first used, so that the service starts without its database."""

    def __init__(
        self,
        dsn: str,
        observer: Observer,
        *,
        timeout_s: float = 3.0,
        connections: int = 10,
        schema: int = 0,
    ) -> None:
        """`schema` is the migration without which this release's statements would fail half-way."""
        self._dsn = dsn
        self._how: dict[str, Any] = {
            "timeout": timeout_s,
            "command_timeout": timeout_s,
            "server_settings": {"application_name": "token-broker"},
        }
        self.observer = observer
        self._timeout_s = timeout_s
        self._connections = connections
        self._turns = Turns(timeout_s)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._up: bool | None = None
        self._read_only = False
        self._schema = schema
        self._fits = schema == 0
        self.on_connect: OnConnect | None = None
        self.behind = False
        self.seen = False

    @property
    def well(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self._up is not False

    async def start(self) -> None:
        """Make the pool; no connection is opened yet."""
        self._pool = self._turns.pool = await asyncpg.create_pool(
            self._dsn,
            connect=self._turns.connect,
            min_size=0,
            max_size=self._connections,
            init=self._greet,
            reset=_keep,
            **self._how,
        )

    def reload(self, dsn: str) -> None:
        """Log in as this says from the next connection on; those that are open go on."""
        self._dsn = dsn
        if self._pool is not None:
            self._pool.set_connect_args(dsn, **self._how)

    async def aclose(self) -> None:
        """Close the pool, at the latest after one statement's time."""
        if self._pool is None:
            return
        await self._turns.aclose()
        try:
            async with _within(self._timeout_s):
                await self._pool.close()
        except _CANNOT_ANSWER:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Yield a connection; raises StorageUnavailable when the database cannot answer."""
        if self._pool is None:
            raise StorageUnavailable
        try:
            if not self._turns.take():
                await self._turns.wait()
            try:
                async with self._pool.acquire(timeout=self._timeout_s) as connection:
                    yield connection
            finally:
                self._turns.leave()
        except _UNFIT:
            raise Invalid("A value in the request cannot be stored.") from None
        except _CANNOT_ANSWER as error:
            await self._down(error)
            raise StorageUnavailable(retry_after_s=2.0) from None
        if not self._read_only:
            self._note(up=True)

    async def ping(self) -> bool:
        """Whether the database answers and takes writes."""
        try:
            async with self.connection() as connection:
                row = await connection.fetchrow(_USABLE)
        except StorageUnavailable:
            return False
        if row is None or not row["migrated"]:
            self._note(up=False, reason="the schema is missing: run token-broker migrate")
            return False
        # Once it has refused a write, reads that succeed do not show that it is well: only this does.
        self._read_only = not row["writable"]
        self._note(up=not self._read_only, reason="it takes no writes" if self._read_only else None)
        return not self._read_only

    async def _greet(self, connection: AnyConnection) -> None:
        """Do what is to be done on every new connection before it is used."""
        if not self._fits:
            await self._compare(connection)
        self.seen = True
        if self.on_connect is not None:
            await self.on_connect(connection)

    async def _compare(self, connection: AnyConnection) -> None:
        """Refuse a schema that is behind: nothing is claimed that could then not be settled.

        Once it fits it is not looked at again: a schema never goes back.
        """
        try:
            version = await connection.fetchval(_SCHEMA)
        except asyncpg.UndefinedTableError:
            version = 0
        was_behind = self.behind
        self._fits = version >= self._schema
        self.behind = not self._fits
        if self.behind and not was_behind:
            # That the database is down may have been told before, for another reason.
            self.observer.note("schema.behind", reason=SchemaBehindError.__doc__)
        if self.behind:
            raise SchemaBehindError(SchemaBehindError.__doc__)

    async def _down(self, error: BaseException) -> None:
        behind = isinstance(error, SchemaBehindError)
        self._note(up=False, reason=str(error) if behind else type(error).__name__)
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and self._pool is not None:
            self._read_only = True
            await self._pool.expire_connections()

    def _note(self, *, up: bool, reason: str | None = None) -> None:
        if self._up is up or (up and self._up is None):
            self._up = up
            return
        self._up = up
        event = "dependency.up" if up else "dependency.down"
        self.observer.note(event, dependency="postgres", reason=reason)


async def _keep(_: AnyConnection) -> None:
    """Leave a connection that is given back as it is: nothing here changes its session.

    The driver would ask the server each time to forget what there might be, once more for each statement. It
    still ends a transaction that was left open.
    """


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield
