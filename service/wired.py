"""What wiring has put together for a process, and how it ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.broker.errors import BrokerError
from service.broker.flights import TimeLeft

if TYPE_CHECKING:
    from service.adapters.postgres import Database, DatabaseClock, PostgresUpkeep
    from service.adapters.redis_link import RedisLink
    from service.broker.answers import Answers
    from service.broker.at_hand import AtHand
    from service.broker.audit import Audit
    from service.broker.behind import Behind
    from service.broker.circuits import Circuits
    from service.broker.confirmations import Confirmations
    from service.broker.creation import Creation
    from service.broker.imports import Imports
    from service.broker.overview import Overview
    from service.broker.refresh import Refresh
    from service.broker.sweeps import Sweeps
    from service.broker.users import Users
    from service.tracing.spans import Tracing


@dataclass(frozen=True, slots=True)
class Broker:
    """Everything a process needs: the use cases, and what its doors and jobs watch over."""

    answers: Answers
    at_hand: AtHand
    behind: Behind
    users: Users
    imports: Imports
    sweeps: Sweeps
    circuits: Circuits
    refresh: Refresh
    confirmations: Confirmations
    creation: Creation
    audit: Audit
    upkeep: PostgresUpkeep
    overview: Overview
    database: Database
    redis: RedisLink
    clock: DatabaseClock
    clients: tuple[str, ...]
    tracing: Tracing | None = None

    async def drain(self, timeout_s: float) -> int:
        """Let running flights end and write what is pending, before anything is closed.

        Returns how many flights had not ended after `timeout_s` seconds.
        """
        left_s, left = TimeLeft(timeout_s), 0
        for room in (self.refresh, self.confirmations, self.creation):
            left += await room.drain(left_s())
        for behind in (self.behind, self.answers.uses, self.answers.reuses):
            with suppress(BrokerError):
                await behind.flush()
        await self.audit.drain()
        if self.tracing is not None:
            await self.tracing.aclose(left_s())
        return left
