"""What an operator sees: how the users stand, what happened, who needs attention, how upstream is reached.

Figures are counted by the worker once a minute and read here: to look costs little, whatever there is to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.broker.circuits import Circuits
from service.broker.ports import Budget, BudgetSight, Clock, Gauges
from service.broker.ports.overview import (
    Count,
    Happened,
    OverviewStore,
    Seen,
    Sightings,
    SweepSight,
    Troubled,
    TroubleQuery,
)

_LATE_SHARE = 30
_LATE_AT_LEAST = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a client: its last count, its budget, what processes told, and why its circuit is open."""

    count: Count | None
    budget: BudgetSight | None
    seen: Seen | None
    circuit: str | None


def late_after(lifetime: timedelta) -> timedelta:
    """Return how long a pair may be due before it is overdue: two minutes where tokens live for an hour."""
    return max(_LATE_AT_LEAST, lifetime / _LATE_SHARE)


class Overview:
    """Counts for those who look, and shows it to them."""

    def __init__(
        self,
        store: OverviewStore,
        sightings: Sightings,
        budget: Budget,
        circuits: Circuits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._sightings = sightings
        self._budget = budget
        self._circuits = circuits
        self._clock = clock

    async def look(self, client: str) -> Sight:
        """Return how a client stands. Raises StorageUnavailable."""
        seen, budget, count = await asyncio.gather(
            self._sightings.seen(client), self._budget.look(client), self._store.standing(client)
        )
        told = seen.circuit if seen is not None else None
        return Sight(count, budget, seen, self._circuits.why_open(client) or told)

    async def history(self, client: str, span: timedelta, step: timedelta) -> list[Happened]:
        """Return what happened in the last `span`, in steps."""
        now = self._clock()
        return await self._store.history(client, now - span, now, step)

    async def troubled(self, query: TroubleQuery) -> list[Troubled]:
        """Return a page of users who need attention, the worst first."""
        return await self._store.troubled(query, self._clock())

    async def count(self, gauges: dict[str, Gauges]) -> None:
        """Keep how each client stands, and what happened in the minutes that are over."""
        now = self._clock()
        for client, counted in gauges.items():
            await self._store.count(client, counted, now)
        await self._store.note_minutes(tuple(gauges), now)

    async def swept(self, client: str, claimed: int, parked: int, seconds: float) -> None:
        """Tell of a sweep that has ended."""
        await self._sightings.swept(client, SweepSight(self._clock(), claimed, parked, seconds))

    async def tell_circuits(self, clients: Sequence[str]) -> None:
        """Tell of the circuits that are open in this process."""
        for client in clients:
            if reason := self._circuits.why_open(client):
                await self._sightings.circuit_open(client, reason)
