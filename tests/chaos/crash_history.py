"""What every grant's row has ever held, written down by the database itself as it is committed."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from sandbox.calcom import identifier
from service.adapters.vault import Vault
from tests.support.environment import key_of

_WRITE_DOWN = """
    CREATE TABLE history AS SELECT clock_timestamp() AS at, g.* FROM grants g WITH NO DATA;
    CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO history SELECT clock_timestamp(), NEW.*;
        PERFORM pg_notify('history', NEW.client);
        RETURN NULL;
    END $$;
    CREATE TRIGGER written_down AFTER INSERT OR UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION write_down();
"""


@dataclass(frozen=True)
class Held:
    """A grant's row as it stood from an instant on; tokens by identifier, instants in epoch ms."""

    at_ms: float
    generation: int
    access: str
    refresh: str
    claimed: bool
    claim_kind: str | None
    claimed_ms: float | None
    refresh_token_dead: bool
    distrusted_until_ms: float | None
    state: str


class History:
    """The rows of a database whose grants are written down; whoever waits is told of each commit."""

    def __init__(self, pool):
        self._pool = pool
        self._waiting = defaultdict(asyncio.Event)
        self.vault = Vault([("e1", base64.b64decode(key_of("e")))])

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url):
        """Begin to write down; once for each database."""
        async with asyncpg.create_pool(database_url, min_size=1, max_size=4) as pool:
            await pool.execute(_WRITE_DOWN)
            history = cls(pool)
            async with pool.acquire() as connection:
                await connection.add_listener("history", history._written)
                yield history
                await connection.remove_listener("history", history._written)

    async def until(self, name, holds, within_s):
        """Wait until the row of a case's user holds what is wanted of it; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                written = self._waiting[name] = asyncio.Event()
                if holds(await self.now(name)):
                    return
                await written.wait()

    def _written(self, _connection, _pid, _channel, name):
        self._waiting[name].set()

    async def of(self, name):
        """Return everything the row of a case's user has held, oldest first."""
        rows = await self._pool.fetch("SELECT * FROM history WHERE client = $1 ORDER BY at", name)
        return [self._held(row) for row in rows]

    async def now(self, name):
        """Return what the row holds now."""
        newest = "SELECT * FROM history WHERE client = $1 ORDER BY at DESC LIMIT 1"
        return self._held(await self._pool.fetchrow(newest, name))

    def _held(self, row):
        claimed, distrusted = row["claimed_at"], row["distrusted_until"]
        return Held(
            at_ms=_ms(row["at"]),
            generation=row["generation"],
            access=self._opened(row, "access"),
            refresh=self._opened(row, "refresh"),
            claimed=row["claim_owner"] is not None,
            claim_kind=row["claim_kind"],
            claimed_ms=claimed and _ms(claimed),
            refresh_token_dead=row["refresh_token_dead"],
            distrusted_until_ms=distrusted and _ms(distrusted),
            state=row["state"],
        )

    def _opened(self, row, column):
        bound = {name: row[name] for name in ("client", "user_id", "generation")}
        return identifier(self.vault.open(row[f"{column}_sealed"], column=column, **bound))


def _ms(instant: datetime) -> float:
    return instant.timestamp() * 1000
