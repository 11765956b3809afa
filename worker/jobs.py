"""The worker's jobs, each a few lines around a use case. Never raises for what a tick may meet."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from service.broker.errors import BrokerError

if TYPE_CHECKING:
    from datetime import timedelta

    from service.broker.ports import Clock, Observer, Upkeep
    from service.broker.sweeps import Sweeps

MOST_AT_A_SWEEP = 500
SWEEP_AT_MOST_S = 240.0
"""Beyond what a full sweep takes when every one of its calls uses up its time."""


class Jobs:
    """What arq calls; one sweep a client at a time in this process."""

    def __init__(
        self,
        sweeps: Sweeps,
        upkeep: Upkeep,
        clients: tuple[str, ...],
        clock: Clock,
        observer: Observer,
        events_kept: timedelta,
    ) -> None:
        self._sweeps = sweeps
        self._upkeep = upkeep
        self._clients = clients
        self._clock = clock
        self._observer = observer
        self._events_kept = events_kept
        self._sweeping: set[str] = set()
        self.ticked_at = time.monotonic()

    async def sweep(self, _: dict[Any, Any]) -> None:
        """Work on what is due, for every client at once; clients do not wait for each other."""
        self.ticked_at = time.monotonic()
        await asyncio.gather(*(self._sweep(client) for client in self._clients))

    async def upkeep(self, _: dict[Any, Any]) -> None:
        """Prepare and drop partitions, and count what stands in the tables."""
        try:
            now = self._clock()
            await self._upkeep.prepare_partitions(now)
            await self._upkeep.prune(now, self._events_kept)
            for client in self._clients:
                gauges = await self._upkeep.gauges(client, now)
                self._observer.note(
                    "gauges",
                    client=client,
                    users=gauges.users,
                    due=gauges.due,
                    overdue_s=gauges.overdue_s,
                    expired_claims=gauges.expired_claims,
                    bricked=gauges.bricked,
                )
        except BrokerError as error:
            self._observer.note("worker.upkeep_failed", reason=error.code)

    async def _sweep(self, client: str) -> None:
        if client in self._sweeping:
            return
        self._sweeping.add(client)
        started = time.monotonic()
        try:
            async with asyncio.timeout(SWEEP_AT_MOST_S):
                swept = await self._sweeps.sweep(client, MOST_AT_A_SWEEP)
        except (BrokerError, TimeoutError) as error:
            reason = error.code if isinstance(error, BrokerError) else "it did not end in time"
            self._observer.note("worker.sweep_failed", client=client, reason=reason)
            return
        finally:
            self._sweeping.discard(client)
        self._observer.note(
            "worker.sweep",
            client=client,
            claimed=swept.claimed,
            parked=swept.parked,
            seconds=time.monotonic() - started,
        )
