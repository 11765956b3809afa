"""Work ahead of time: takes what is due from the index, in batches no larger than the budget in hand.

The same refresh as on request; only who asks is different. Retry lives on the grant, nowhere else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from service.broker.calls import Calls
from service.broker.confirmations import Confirmations
from service.broker.errors import BrokerError
from service.broker.flights import join
from service.broker.hands import Hands
from service.broker.model import Grant
from service.broker.policy import Due, Terms, due_at, later, trigger_when_due, when_due
from service.broker.ports import Aftermath, DueGrant, Ports
from service.broker.recovery import Asker
from service.broker.refresh import Refresh, Why

_AT_ONCE = 96
"""Calls under way at a time: enough for 278 a second where one takes a third of a second."""
_GOES_ON = timedelta(seconds=30)
_NOT_SOONER_THAN = timedelta(seconds=1)
_CHECK_AGAIN = timedelta(seconds=5)

Ending = Callable[[], bool]
"""Whether the process is about to end: nothing more is claimed then, and what was not begun is let go."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of a client found: claimed in all, and what became of them.

    `more`: it ended for want of budget or time, not because nothing more was due.
    """

    claimed: int = 0
    rotated: int = 0
    parked: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was claimed at once; `full` when as much was due as was asked for, `short` of budget."""

    due: list[DueGrant]
    full: bool = False
    short: bool = False


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

    async def sweep(self, client: str, most: int, ending: Ending = lambda: False) -> Swept:
        """Work on a client's due grants, batch after batch, with at most `most` of them claimed at a time.

        The next batch is claimed when half of that has ended: so no claim waits long for its turn, and a
        call that hangs holds up nobody else. Ends when nothing more is due, when the budget gives no more,
        or after half a minute. Raises StorageUnavailable; a grant's own failure is written on the grant.
        """
        ends_at, claimed, batch = self._ports.clock() + _GOES_ON, 0, _Batch([], full=True)
        async with Hands[Due](most) as hands:
            while batch.full and hands.well and self._ports.clock() < ends_at:
                await hands.until_half_free()
                if ending() or not await self._calls.may_go_ahead(client):
                    break
                batch = await self._claim(client, hands.free)
                claimed += len(batch.due)
                if batch.due:
                    hands.take_up(len(batch.due), self._followed(client, batch.due, hands, ending))
            outcomes = Counter(await hands.rest())
        more = claimed > 0 and (batch.full or batch.short)
        return Swept(claimed, outcomes[Due.ROTATE], outcomes[Due.PARK], more)

    async def _followed(
        self, client: str, due: list[DueGrant], hands: Hands[Due], ending: Ending
    ) -> list[Due]:
        """Work on a batch, as a trail of its own; one that found nothing has none, there are too many."""
        tracer = self._ports.tracer
        work = partial(self._work_on, due, hands, ending)
        return await (tracer.begin("sweep", client).follow(work) if tracer is not None else work())

    async def _work_on(self, due: list[DueGrant], hands: Hands[Due], ending: Ending) -> list[Due]:
        return await asyncio.gather(*(self._work(one, hands, ending) for one in due))

    async def _claim(self, client: str, most: int) -> _Batch:
        """Claim no more than there is budget for: a claim is never written without a call in hand."""
        in_hand = await self._ports.budget.take_ahead(client, most)
        if in_hand == 0:
            return _Batch([], short=True)
        due: list[DueGrant] = []
        try:
            now, owner = self._ports.clock(), self._ports.owner
            due = await self._ports.claims.claim_due(client, in_hand, now, owner)
        finally:
            if len(due) < in_hand:
                await self._ports.budget.give_back(client, in_hand - len(due))
        as_many = len(due) == in_hand
        return _Batch(due, full=as_many and in_hand == most, short=as_many and in_hand < most)

    async def _work(self, due: DueGrant, hands: Hands[Due], ending: Ending) -> Due:
        try:
            async with self._places:
                what = await self._what_now(due, ending)
                await self._do(what, due)
        finally:
            hands.put_down()
        return what

    async def _what_now(self, due: DueGrant, ending: Ending) -> Due:
        """Decide when its turn has come: upstream may have asked for rest since it was claimed."""
        grant = due.grant
        what = when_due(grant, self._ports.clock(), self._terms, retaken=due.retaken)
        rests = what is Due.ROTATE and not await self._calls.may_go_ahead(grant.key.client)
        let_go = ending() and not due.retaken  # the next process may have it at once
        return Due.PARK if rests or let_go else what

    async def _do(self, what: Due, due: DueGrant) -> None:
        grant = due.grant
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

    async def _give_back(self, grant: Grant) -> None:
        """The call that was in hand for this grant is not made out of the client's budget."""
        await self._ports.budget.give_back(grant.key.client, 1)

    async def _park(self, grant: Grant, not_sooner_than: timedelta = _NOT_SOONER_THAN) -> None:
        """End the claim until the grant's next instant; who has lost it meanwhile says so."""
        if grant.claim is None:
            return
        unclaimed = replace(grant, claim=None, retry_at=None)
        due = due_at(unclaimed, self._terms, used=grant.first_used_at is not None)
        if due is not None:
            due = later(due, self._ports.clock() + not_sooner_than)
        if not await self._ports.claims.end_claim(grant.claim, Aftermath(due_at=due)):
            trigger = trigger_when_due(grant, self._ports.clock(), retaken=False)
            self._ports.observer.note("refresh.fenced_out", grant.key, trigger=trigger)


async def _settled(work: Coroutine[Any, Any, object]) -> None:
    """Wait for it; what went wrong is on the grant and in the log already."""
    try:
        await work
    except BrokerError:
        return
