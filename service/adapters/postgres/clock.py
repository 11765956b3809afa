"""The database's clock, as this process knows it between two looks at it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.adapters.postgres.database import AnyConnection, Database

_FAR_OFF = timedelta(seconds=30)
_QUICK_S = 0.5


class DatabaseClock:
    """Now in the database's time: its clock as last measured, carried on by the monotonic clock.

    Measured on every new connection, before any claim is judged by it: the database may have been away
    when the process began, and after a failover it is another machine.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.on_connect = self._measure_on
        self._measured_at = time.monotonic()
        self._then = datetime.now(UTC)
        self.skew = timedelta(0)
        self.measured = False

    def __call__(self) -> datetime:
        """Return now as aware UTC."""
        return self._then + timedelta(seconds=time.monotonic() - self._measured_at)

    async def measure(self) -> None:
        """Read the database's clock."""
        async with self._database.connection() as connection:
            await self._measure_on(connection)

    async def _measure_on(self, connection: AnyConnection) -> None:
        """Read the clock half-way between question and answer.

        Where that took long (this process may have been stopped) an earlier measurement is kept. Without
        one it counts from the question: a clock that is ahead finds claims over too early, never too late.
        """
        before = time.monotonic()
        then: datetime = await connection.fetchval("SELECT clock_timestamp()")
        after = time.monotonic()
        quick = after - before <= _QUICK_S
        if self.measured and not quick:
            return
        self._measured_at = (before + after) / 2 if quick else before
        self._then = then
        self.measured = quick
        was_off, self.skew = abs(self.skew) > _FAR_OFF, datetime.now(UTC) - self()
        if abs(self.skew) > _FAR_OFF and not was_off:
            self._database.observer.note("clock.off", seconds=round(self.skew.total_seconds(), 1))
