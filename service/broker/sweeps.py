"""Work ahead of time: takes what is due from the index, in batches no larger than the budget in hand.

The same refresh as on request; only who asks is different. Retry lives on the grant, nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from service.broker.calls import Calls
from service.broker.confirmations import Confirmations
from service.broker.errors import BrokerError
from service.broker.flights import join
from service.broker.model import Grant
from service.broker.policy import Due, Terms, due_at, later, trigger_when_due, when_due
from service.broker.ports import Aftermath, DueGrant, Ports
from service.broker.recovery import Asker
from service.broker.refresh import Refresh, Why

_AT_ONCE = 64
_NOT_SOONER_THAN = timedelta(seconds=1)
_CHECK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of a client found: claimed in all, and what became of them."""

    claimed: int = 0
    rotated: int = 0
    parked: int = 0


class Sweeps:
    """Sweeps one client's due grants."""

    def __init__(
        self, ports: Ports, terms: Terms, refresh: Refresh, confirmations: Confirmations, calls: Calls
    ) -> None:
        self._ports = ports
        self._terms = terms
        self._refresh = refresh
        self._confirmations = confirmations
        self._calls = calls
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def sweep(self, client: str, most: int) -> Swept:
        """Work on up to `most` due grants of a client, fewer when the budget holds fewer.

        Raises StorageUnavailable. A grant's own failure is written on the grant and raises nothing.
        """
        if not await self._calls.may_go_ahead(client):
            return Swept()
        tracer = self._ports.tracer
        trail = tracer.begin("sweep", client) if tracer is not None else None
        due = await self._claim(client, most)
        work = partial(self._work_on, due)
        # A sweep that found nothing leaves no trace: there is one every few seconds.
        outcomes = await (trail.follow(work) if trail is not None and due else work())
        parked = sum(outcome is Due.PARK for outcome in outcomes)
        return Swept(len(due), sum(outcome is Due.ROTATE for outcome in outcomes), parked)

    async def _work_on(self, due: list[DueGrant]) -> list[Due]:
        return await asyncio.gather(*(self._work(one) for one in due))

    async def _claim(self, client: str, most: int) -> list[DueGrant]:
        """Claim no more than there is budget for: a claim is never written without a call in hand."""
        in_hand = await self._ports.budget.take_ahead(client, most)
        if in_hand == 0:
            return []
        due: list[DueGrant] = []
        try:
            now, owner = self._ports.clock(), self._ports.owner
            due = await self._ports.claims.claim_due(client, in_hand, now, owner)
        finally:
            await self._ports.budget.give_back(client, in_hand - len(due))
        return due

    async def _work(self, due: DueGrant) -> Due:
        grant = due.grant
        what = when_due(grant, self._ports.clock(), self._terms, retaken=due.retaken)
        async with self._places:
            if what is Due.ROTATE and not await self._calls.may_go_ahead(grant.key.client):
                what = Due.PARK  # upstream has asked for rest since this batch was claimed
            match what:
                case Due.ROTATE:
                    trigger = trigger_when_due(grant, self._ports.clock(), retaken=due.retaken)
                    await _settled(join(self._refresh.carry_on(grant, Why(trigger, Asker(waits=False)))))
                case Due.CONFIRM:
                    await self._give_back(grant)
                    await _settled(self._confirmations.confirm(grant.current(), grant.marks))
                    await _settled(self._park(grant, _CHECK_AGAIN))
                case Due.PARK:
                    await self._give_back(grant)
                    await _settled(self._park(grant))
        return what

    async def _give_back(self, grant: Grant) -> None:
        """The call that was in hand for this grant is not made out of the client's budget."""
        await self._ports.budget.give_back(grant.key.client, 1)

    async def _park(self, grant: Grant, not_sooner_than: timedelta = _NOT_SOONER_THAN) -> None:
        """End the claim until the grant's next instant."""
        if grant.claim is None:
            return
        unclaimed = replace(grant, claim=None, retry_at=None)
        due = due_at(unclaimed, self._terms, used=grant.first_used_at is not None)
        if due is not None:
            due = later(due, self._ports.clock() + not_sooner_than)
        await self._ports.claims.end_claim(grant.claim, Aftermath(due_at=due))


async def _settled(work: Coroutine[Any, Any, object]) -> None:
    """Wait for it; what went wrong is on the grant and in the log already."""
    try:
        await work
    except BrokerError:
        return
