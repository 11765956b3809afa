"""How long the product's own look for what is due takes, its claim and its settling, one size beside another.

The claim is asked for through its port. The statement that it sends is explained once more as it stands, so
that the look in it, down to its LIMIT, has a time of its own and not that of the rows which are then written.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from bench import tokens
from bench.settings import CLIENT
from bench.stored import RING, VAULT, Nobody
from service.adapters.postgres import Database, PostgresClaims
from service.adapters.postgres.rows import Rows
from service.adapters.vault import key_id_of
from service.broker.model import Claim, TokenPair, Trigger
from service.broker.ports import DueGrant, Settlement

if TYPE_CHECKING:
    from bench.scaling.filling import Connection, Filled

LIMIT = 500
"""As many are claimed at a time, whatever a sweep of this release claims."""
TIMES = 30
_AT_ONCE = 64
_DEADLINE = timedelta(seconds=20)
_HOUR = timedelta(hours=1)

Plan = dict[str, Any]


class _Heard:
    """A connection that remembers what was sent over it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.sent: list[tuple[str, tuple[object, ...]]] = []

    async def fetch(self, statement: str, *values: object, **how: Any) -> list[asyncpg.Record]:  # noqa: ANN401
        """Send it on."""
        self.sent.append((statement, values))
        return await self._connection.fetch(statement, *values, **how)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


class _Held:
    """A database of one connection, in which the one who measures begins and takes back transactions."""

    def __init__(self, connection: Connection) -> None:
        self.heard = _Heard(connection)
        self.observer = Nobody()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[_Heard]:
        """Yield the connection."""
        yield self.heard


def claims_of(database: object) -> PostgresClaims:
    """Return the product's claims over a database."""
    rows = Rows(VAULT, _DEADLINE, key_id_of)
    whole = cast("Database", database)
    return PostgresClaims(whole, rows, RING, claim_deadline=_DEADLINE, distrust_window=timedelta(seconds=60))


class Looks:
    """What is due in one database, looked for again and again: what a claim wrote is taken back each time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._held = _Held(connection)
        self._claims = claims_of(self._held)
        self.claim_ms: list[float] = []
        self.due_ms: list[float] = []
        self.plan: Plan = {}

    async def look(self) -> None:
        """Claim, then explain the same claim; both leave everything as it was."""
        async with _taken_back(self._connection):
            began = time.perf_counter()
            claimed = await self._claims.claim_due(CLIENT, LIMIT, datetime.now(UTC), "bench")
            self.claim_ms.append((time.perf_counter() - began) * 1000)
        if not claimed:
            raise LookupError("Nothing was due: what was measured is no claim.")
        statement, values = self._held.heard.sent[-1]
        async with _taken_back(self._connection):
            explained = await self._connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values
            )
        self.plan = due_node(json.loads(explained)[0]["Plan"])
        self.due_ms.append(self.plan["Actual Total Time"] * self.plan["Actual Loops"])


def due_node(plan: Plan) -> Plan:
    """Return the part of a claim's plan that finds what is due: all below its LIMIT."""
    for node in _nodes(plan):
        if node["Node Type"] == "Limit":
            return node
    raise LookupError("The claim's plan has no LIMIT: look at bench/scaling/queries.py again.")


def index_of(plan: Plan) -> str:
    """Return the index that a plan reads, or how it reads the table otherwise."""
    nodes = list(_nodes(plan))
    named = [node["Index Name"] for node in nodes if "Index Name" in node]
    return str(named[0] if named else nodes[-1]["Node Type"])


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


async def look_at_both(base: Filled, sized: Filled, times: int = TIMES) -> dict[str, object]:
    """Look into both databases in turn; a slow moment of the machine falls on both."""
    connections = [await asyncpg.connect(one.url) for one in (base, sized)]
    try:
        small, large = (Looks(connection) for connection in connections)
        for _ in range(times + 1):
            for looks in (small, large):
                await looks.look()
    finally:
        for connection in connections:
            await connection.close()
    # The first look of each was only to have everything in memory.
    due, base_due = median(large.due_ms[1:]), median(small.due_ms[1:])
    claim, base_claim = median(large.claim_ms[1:]), median(small.claim_ms[1:])
    return {
        "due_ms": due, "due_vs_10k": due / base_due, "claim_ms": claim, "claim_vs_10k": claim / base_claim,
        "due_index": index_of(large.plan),
        "due_buffers": large.plan["Shared Hit Blocks"] + large.plan["Shared Read Blocks"],
    }  # fmt: skip


async def claim_and_settle(base: Filled, sized: Filled, rounds: int) -> dict[str, object]:
    """Claim and settle for good, so many times 500 in each database in turn, with no upstream in between."""
    claim_ms: dict[int, list[float]] = {0: [], 1: []}
    settle_ms: dict[int, list[float]] = {0: [], 1: []}
    async with AsyncExitStack() as stack:
        claims = [claims_of(await _opened(stack, one)) for one in (base, sized)]
        for _ in range(rounds + 1):
            for place, one in enumerate((base, sized)):
                await one.wave(LIMIT)
                claim, settle = await _claim_and_settle(claims[place])
                claim_ms[place].append(claim)
                settle_ms[place].append(settle)
    # The first of each connected, and made the statements known.
    settled, base_settled = median(settle_ms[1][1:]), median(settle_ms[0][1:])
    return {
        "claim_committed_ms": median(claim_ms[1][1:]),
        "settle_ms": settled, "settle_vs_10k": settled / base_settled,
    }  # fmt: skip


async def _opened(stack: AsyncExitStack, sized: Filled) -> Database:
    database = Database(sized.url, Nobody())
    await database.start()
    stack.push_async_callback(database.aclose)
    return database


async def _claim_and_settle(claims: PostgresClaims) -> tuple[float, float]:
    """Return how many milliseconds each of the two took."""
    began = time.perf_counter()
    due = await claims.claim_due(CLIENT, LIMIT, datetime.now(UTC), "bench")
    claimed = time.perf_counter()
    await _settle(claims, due)
    return (claimed - began) * 1000, (time.perf_counter() - claimed) * 1000


async def _settle(claims: PostgresClaims, due: Sequence[DueGrant]) -> None:
    """Settle all, about as many at once as a sweep does."""
    places = asyncio.Semaphore(_AT_ONCE)
    settlements = [_settlement(one.grant.claim) for one in due if one.grant.claim is not None]

    async def settle(settlement: Settlement) -> None:
        async with places:
            if await claims.settle(settlement) is None:
                raise LookupError("A claim was lost that nobody else could have taken.")

    await asyncio.gather(*(settle(one) for one in settlements))


def _settlement(claim: Claim) -> Settlement:
    owner, sent_at = int(claim.key.user_id.removeprefix("user-")), claim.claimed_at
    ends_at = sent_at + _HOUR
    pair = TokenPair(
        tokens.access_token(owner, ends_at.timestamp()), tokens.refresh_token(owner), sent_at, ends_at,
        ends_at - timedelta(minutes=10),
    )  # fmt: skip
    idle_until = sent_at + timedelta(days=300)
    return Settlement(claim, pair, False, ends_at + timedelta(hours=24), idle_until, Trigger.AHEAD)


@asynccontextmanager
async def _taken_back(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()
