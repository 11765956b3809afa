"""How a migration waits: never in front of callers for long, with pauses, and saying what for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sql.files import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncpg import Connection, Record

_PAUSE_S = 0.2
_PAUSE_AT_MOST_S = 5.0
_HOLDERS = """
    select distinct l.pid, coalesce(nullif(a.application_name, ''), 'a program without a name') as program,
        round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds
    from pg_locks l left join pg_stat_activity a using (pid)
    where l.locktype = 'relation' and l.granted and l.relation >= 16384 and l.pid <> pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database())
      and (a.xact_start is null or a.xact_start < clock_timestamp() - interval '500ms')
    order by seconds desc nulls last limit 3
"""


class Held(Exception):
    """A migration did not get a table to itself in time; nothing of it was applied."""


class Patience:
    """So many seconds of waiting for one migration in all, in pauses that grow."""

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._say = say
        self._said = ""
        self.renew()

    def renew(self) -> None:
        """Start anew, for the next migration."""
        self._until = time.monotonic() + self._seconds
        self._pause_s = _PAUSE_S

    async def wait(self, held: Held, who: str) -> None:
        """Let callers pass before the next try; raises MigrationError when patience has ended."""
        if time.monotonic() + self._pause_s > self._until:
            raise MigrationError(
                f"{held} waited {self._seconds:g} s for a table that somebody holds ({who}). Nothing of it "
                "was applied. Let that transaction end, or end it (pg_terminate_backend), and run it again."
            )
        await self.pause(f"{held}: a table is held by {who}; trying again")

    async def pause(self, reason: str) -> None:
        """Say what is waited for, once, and wait a little."""
        if reason != self._said:
            self._said = reason
            self._say(f"waiting: {reason}")
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _PAUSE_AT_MOST_S)


async def holders(connection: Connection[Record]) -> str:
    """Name the transactions that have held tables for longer than a caller's statement takes."""
    rows = await connection.fetch(_HOLDERS)
    named = (
        f"process {row['pid']}, {row['program']}" + (f", for {row['seconds']} s" if row["seconds"] else "")
        for row in rows
    )
    return "; ".join(named) or "somebody who has just let go of it"
