"""Asks upstream whether it still accepts a user's current access token, once for all who ask at a time.

A refusal marks the grant and drops the cached answer; a confirmation after a distrust window closes it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from service.broker.errors import UpstreamUnavailable
from service.broker.flights import Flights, join
from service.broker.model import (
    CheckOutcome,
    Confirmed,
    CurrentToken,
    Denial,
    Denied,
    Marks,
    Unavailable,
)
from service.broker.policy import confirmation_holds, settling
from service.broker.ports import Ports

_TRY_AGAIN_S = 2.0


class Confirmations:
    """One check of a user's current token at a time in this process."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._flights: Flights[bool] = Flights("confirm", ports.tracer)

    def running(self, current: CurrentToken) -> bool:
        """Whether a check of this very token is under way."""
        return self._flights.running((current.key, current.generation))

    async def confirm(self, current: CurrentToken, marks: Marks) -> bool:
        """Return whether upstream accepts the current token; who comes during a check joins it.

        Raises UpstreamUnavailable when upstream gives no answer (nothing is rotated then), and
        StorageUnavailable when the refusal could not be written.
        """
        key = (current.key, current.generation)
        run = partial(self._check, current, marks)
        task, joined = self._flights.start(key, run, client=current.key.client)
        if joined:
            self._ports.observer.note("refresh.joined", current.key)
        return await join(task)

    async def drain(self, timeout_s: float) -> int:
        """Let the running checks end."""
        return await self._flights.drain(timeout_s)

    async def _check(self, current: CurrentToken, marks: Marks) -> bool:
        sent_at = await self._ports.grants.now() if marks.distrusted else None
        outcome = await self._ask(current)
        match outcome:
            case Confirmed():
                await self._confirmed(current, sent_at)
                return True
            case Denied(Denial.TOKEN_REFUSED):
                await self._refused(current)
                return False
            case Unavailable(_, retry_after_s):
                raise UpstreamUnavailable(
                    "Upstream could not say whether the presented token is good; nothing was rotated.",
                    retry_after_s=retry_after_s or _TRY_AGAIN_S,
                )
            case _:
                raise UpstreamUnavailable(
                    "Upstream gave no usable answer about the presented token; nothing was rotated.",
                    retry_after_s=_TRY_AGAIN_S,
                )

    async def _ask(self, current: CurrentToken) -> CheckOutcome:
        """Ask once; again after a moment when a very young token is refused (a lagging replica upstream)."""
        provider = self._ports.providers[current.key.client]
        outcome = await provider.check(current.access_token)
        young, wait = settling(current.lifetime)
        refused = isinstance(outcome, Denied) and outcome.code is Denial.TOKEN_REFUSED
        if refused and self._ports.clock() - current.issued_at < young:
            await asyncio.sleep(wait.total_seconds())
            outcome = await provider.check(current.access_token)
        return outcome

    async def _confirmed(self, current: CurrentToken, sent_at: datetime | None) -> None:
        seconds = confirmation_holds(current.lifetime).total_seconds()
        await self._ports.cache.note_confirmed(current.key, current.generation, seconds)
        if sent_at is None:
            return
        if await self._ports.grants.clear_distrust(current.key, current.generation, sent_at):
            self._ports.observer.note("grant.trusted", current.key, generation=current.generation)
            await self._ports.cache.put(current, reopen=True)

    async def _refused(self, current: CurrentToken) -> None:
        await self._ports.cache.block(current.key, current.generation)
        await self._ports.grants.mark_refused(current.key, current.generation)
        self._ports.observer.note("grant.refused", current.key, generation=current.generation)
