"""The worker's jobs, each a few lines around a use case. Never raises for what a tick may meet."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from service.broker.errors import BrokerError

if TYPE_CHECKING:
    from datetime import timedelta

    from service.broker.overview import Overview
    from service.broker.ports import Clock, Gauges, Observer, Upkeep
    from service.broker.sweeps import Sweeps

MOST_AT_A_SWEEP = 128
"""So many grants are claimed at a time: a few more than are called for at once, so that none waits long."""
SWEEP_AT_MOST_S = 240.0
"""Beyond what it takes when every call of what was claimed last uses up its time."""
_ON_S = 100.0
_REST_S = 1.0
"""In which the budget fills: less than it takes until it is full and what comes in is lost."""


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
        overview: Overview | None = None,
    ) -> None:
        self._sweeps = sweeps
        self._upkeep = upkeep
        self._clients = clients
        self._clock = clock
        self._observer = observer
        self._events_kept = events_kept
        self._overview = overview
        self._sweeping: set[str] = set()
        self._ending = asyncio.Event()
        self.ticked_at = time.monotonic()

    async def sweep(self, _: dict[Any, Any]) -> None:
        """Work on what is due, for every client at once; clients do not wait for each other."""
        self.ticked_at = time.monotonic()
        await asyncio.gather(*(self._sweep(client) for client in self._clients))

    def end(self) -> None:
        """Begin nothing more: what is under way ends, what was only claimed is let go."""
        self._ending.set()

    async def upkeep(self, _: dict[Any, Any]) -> None:
        """Prepare and drop partitions, and count what stands in the tables."""
        try:
            now = self._clock()
            await self._upkeep.prepare_partitions(now)
            await self._upkeep.prune(now, self._events_kept)
            counted: dict[str, Gauges] = {}
            for client in self._clients:
                gauges = counted[client] = await self._upkeep.gauges(client, now)
                self._observer.note(
                    "gauges",
                    client=client,
                    users=gauges.users,
                    due=gauges.due,
                    overdue_s=gauges.overdue_s,
                    expired_claims=gauges.expired_claims,
                    bricked=gauges.bricked,
                )
            if self._overview is not None:
                await self._overview.count(counted)
        except BrokerError as error:
            self._observer.note("worker.upkeep_failed", reason=error.code)

    async def _sweep(self, client: str) -> None:
        if client in self._sweeping:
            return
        self._sweeping.add(client)
        try:
            async with asyncio.timeout(SWEEP_AT_MOST_S):
                await self._go_on(client, time.monotonic() + _ON_S)
        except (BrokerError, TimeoutError) as error:
            reason = error.code if isinstance(error, BrokerError) else "it did not end in time"
            self._observer.note("worker.sweep_failed", client=client, reason=reason)
        finally:
            self._sweeping.discard(client)

    async def _go_on(self, client: str, ends_at: float) -> None:
        """Sweep for as long as there is more to do; who falls behind does not wait for the next tick."""
        while True:
            started = time.monotonic()
            swept = await self._sweeps.sweep(client, MOST_AT_A_SWEEP, self._ending.is_set)
            seconds = time.monotonic() - started
            self._observer.note(
                "worker.sweep",
                client=client,
                claimed=swept.claimed,
                parked=swept.parked,
                seconds=seconds,
            )
            if self._overview is not None:
                await self._overview.swept(client, swept.claimed, swept.parked, seconds)
            if not swept.more or time.monotonic() >= ends_at:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _REST_S)
                return
