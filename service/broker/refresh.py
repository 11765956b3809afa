"""The one use case behind both doors: rotate past a generation at most once, whoever asks.

Walks flight -> lease -> budget -> claim -> upstream -> settle -> cache -> wake-up. Which step comes next
under a claim is decided by `recovery`; this module only carries the steps out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from service.broker.calls import Calls
from service.broker.claims import Claims
from service.broker.endings import Fenced, Refreshed
from service.broker.errors import (
    BrokerError,
    RefreshInProgress,
    UpstreamUnavailable,
)
from service.broker.flights import Flights, join
from service.broker.model import Grant, Marks, Trigger, UserKey
from service.broker.policy import Terms, require_live, worth_trying
from service.broker.ports import Ports
from service.broker.recovery import Asker

_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Why:
    """Why a refresh is asked for, and for whom it works."""

    trigger: Trigger
    asker: Asker

    @property
    def rank(self) -> int:
        """How far the flight goes: a waiting caller's further than one ahead of time."""
        return int(self.asker.waits) + int(self.asker.complained)


class Refresh:
    """Refreshes users: one flight a user in this process, one claim a user in all."""

    def __init__(self, ports: Ports, terms: Terms, calls: Calls) -> None:
        self._ports = ports
        self._terms = terms
        self._calls = calls
        self._claims = Claims(ports, terms, calls)
        self._flights: Flights[Refreshed] = Flights("refresh", ports.tracer)

    async def refresh_user(self, key: UserKey, seen: int, why: Why) -> Refreshed:
        """Rotate past generation `seen` at most once; returns what is current afterwards.

        The generation is still `seen` when the refresh token is dead and the access token is not.
        Raises UserUnknown, GrantDead, GrantPaused, UpstreamUnavailable, StorageUnavailable,
        RefreshInProgress. A caller who is cancelled does not stop the flight.
        """
        return await join(self._fly(key, seen, why, lambda: self._walk(key, seen, why)))

    def kick(self, key: UserKey, seen: int, why: Why) -> None:
        """Start the same behind the caller's back; its failure is nobody's but the grant's."""
        self._fly(key, seen, why, lambda: self._walk(key, seen, why))

    def carry_on(self, claimed: Grant, why: Why) -> asyncio.Task[Refreshed]:
        """Carry out a claim that was committed ahead of time, as a flight of its own."""
        epoch = claimed.claim.epoch if claimed.claim is not None else 0
        key = (claimed.key, claimed.generation, epoch)
        run = partial(self._carry_out, claimed, why)
        return self._flights.start(key, run, client=claimed.key.client, why=why.trigger)[0]

    def running(self, key: UserKey, seen: int) -> bool:
        """Whether this process is refreshing the user past generation `seen` just now."""
        return self._flights.running((key, seen))

    def in_flight(self) -> int:
        """Return how many users are being refreshed by this process."""
        return len(self._flights)

    async def drain(self, timeout_s: float) -> int:
        """Let the running flights end; returns how many had not after `timeout_s` seconds."""
        return await self._flights.drain(timeout_s)

    def _fly(
        self, key: UserKey, seen: int, why: Why, run: Callable[[], Coroutine[Any, Any, Refreshed]]
    ) -> asyncio.Task[Refreshed]:
        task, joined = self._flights.start(
            (key, seen), run, rank=why.rank, client=key.client, why=why.trigger
        )
        if joined:
            self._ports.observer.note("refresh.joined", key)
        return task

    async def _walk(self, key: UserKey, seen: int, why: Why) -> Refreshed:
        async with self._ports.leases.hold(key) as lease:
            ends_at = _monotonic() + self._terms.flight_limit.total_seconds()
            if why.asker.waits:
                if lease.busy:
                    await self._wait(key, seen, _POLL_S)
                elif refreshed := await self._attempt_at_once(key, seen, why, ends_at):
                    return refreshed
            while True:
                grant = await self._movable(key, seen, why, ends_at)
                if grant.generation > seen or grant.claim is not None:
                    await self._remember(grant, seen)
                    return Refreshed(grant)
                refreshed = await self._attempt(grant, why, ends_at)
                if refreshed is not None:
                    return refreshed

    async def _movable(self, key: UserKey, seen: int, why: Why, ends_at: float) -> Grant:
        """Load the grant until its generation has moved or nobody else's claim is in the way.

        Returns it with a foreign claim still on it only to who does not wait.
        """
        poll_s, woken = _POLL_S, False
        while True:
            grant = require_live(await self._ports.grants.load(key))
            taken = grant.claim is not None and self._ports.clock() < grant.claim.deadline_at
            if grant.generation > seen or not taken:
                return grant if grant.generation > seen else replace(grant, claim=None)
            if not why.asker.waits:
                return grant
            if _monotonic() >= ends_at:
                raise RefreshInProgress(retry_after_s=self._terms.claim_deadline.total_seconds())
            if woken:  # by a generation that the database does not have (restored, or failed over)
                await asyncio.sleep(poll_s)
            woken = await self._wait(key, seen, poll_s)
            poll_s = min(poll_s * 1.5, 1.0)

    async def _remember(self, grant: Grant, seen: int) -> None:
        """Let those who wait here for what another process has done find it in this one's memory."""
        if grant.generation > seen and grant.marks == Marks():
            await self._ports.cache.put(grant.current())

    async def _attempt(self, grant: Grant, why: Why, ends_at: float) -> Refreshed | None:
        """Claim and carry out; None when somebody else was quicker or the attempt must be waited out."""
        if not why.asker.waits and not worth_trying(grant, self._ports.clock()):
            return Refreshed(grant)
        await self._take_turn(grant.key, why)
        return await self._claim_and_carry_out(grant.key, grant.generation, why, ends_at)

    async def _attempt_at_once(self, key: UserKey, seen: int, why: Why, ends_at: float) -> Refreshed | None:
        """Claim without another look: whoever asks has had one, and the claim is its own proof.

        Without a turn the look is taken after all: another may have been quicker, and none be needed.
        """
        try:
            await self._take_turn(key, why)
        except UpstreamUnavailable:
            return None
        return await self._claim_and_carry_out(key, seen, why, ends_at)

    async def _claim_and_carry_out(
        self, key: UserKey, generation: int, why: Why, ends_at: float
    ) -> Refreshed | None:
        claimed = await self._claim(key, generation)
        if claimed is None:
            return None
        try:
            return await self._claims.carry_out(claimed, why.trigger, why.asker)
        except (RefreshInProgress, Fenced) as error:
            # The answer was lost, or another has retaken the claim: both are waited out.
            if isinstance(error, RefreshInProgress) and (not why.asker.waits or _monotonic() >= ends_at):
                raise
            self._note_fenced(claimed, why, error)
            return None

    async def _claim(self, key: UserKey, generation: int) -> Grant | None:
        try:
            claimed = await self._ports.claims.claim(key, generation, self._ports.owner)
        except BrokerError:
            await self._ports.budget.give_back(key.client, 1)
            raise
        if claimed is None:
            await self._ports.budget.give_back(key.client, 1)
        return claimed

    async def _take_turn(self, key: UserKey, why: Why) -> None:
        if why.asker.waits:
            await self._calls.turn(key.client)
            return
        allowed = await self._calls.may_go_ahead(key.client)
        if not allowed or not await self._ports.budget.take_ahead(key.client, 1):
            raise UpstreamUnavailable("Work ahead of time rests just now.")

    async def _carry_out(self, claimed: Grant, why: Why) -> Refreshed:
        try:
            return await self._claims.carry_out(claimed, why.trigger, why.asker)
        except Fenced as error:
            self._note_fenced(claimed, why, error)
            return Refreshed(require_live(await self._ports.grants.load(claimed.key)))

    def _note_fenced(self, claimed: Grant, why: Why, error: Exception) -> None:
        if isinstance(error, Fenced):
            self._ports.observer.note("refresh.fenced_out", claimed.key, trigger=why.trigger)

    async def _wait(self, key: UserKey, seen: int, timeout_s: float) -> bool:
        started = _monotonic()
        woken = await self._ports.wakeups.wait(key, seen, timeout_s)
        self._ports.observer.note("lease.waited", key, seconds=_monotonic() - started)
        return woken


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
