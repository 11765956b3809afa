"""How a claim ends without a new pair: kept, left to its deadline, given up, or the grant is dead.

Each ending writes what is known now on the grant, so that whoever comes next starts from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from service.broker.calls import Calls
from service.broker.errors import GrantDead, RefreshInProgress, StorageUnavailable, UpstreamUnavailable
from service.broker.model import Claim, Denial, Denied, Grant, GrantState, Trigger, Unavailable
from service.broker.persistence import persistently
from service.broker.policy import Terms, back_off, due_at
from service.broker.ports import Aftermath, Ports
from service.broker.recovery import Asker, GiveUp, Leave, Progress


class Fenced(Exception):
    """The claim is no longer ours: somebody retook it after its deadline."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What is current after a refresh; `confirmed` when upstream just accepted that very token."""

    grant: Grant
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One claim being carried out: the grant as it was claimed, and for whom."""

    grant: Grant
    claim: Claim
    trigger: Trigger
    asker: Asker
    progress: Progress


class Endings:
    """Ends claims; every method returns what the caller is told (an error is returned, not raised)."""

    def __init__(self, ports: Ports, terms: Terms, calls: Calls) -> None:
        self._ports = ports
        self._terms = terms
        self._calls = calls

    async def keep(self, run: Run, *, confirmed: bool) -> Refreshed:
        """The refresh token is dead, the access token is good: it is served until it dies."""
        marks = replace(run.grant.marks, refresh_token_dead=True)
        kept = replace(run.grant, marks=marks, claim=None)
        self._ports.observer.note(
            "refresh.denied", run.grant.key, trigger=run.trigger, code=Denial.REFRESH_TOKEN_DEAD
        )
        await self._end(
            run,
            Aftermath(
                failed=Denial.REFRESH_TOKEN_DEAD,
                refresh_token_dead=True,
                known=run.grant.marks,
                due_at=due_at(kept, self._terms, used=True),
                event="refresh.denied",
            ),
        )
        return Refreshed(kept, confirmed)

    async def leave(self, run: Run, step: Leave) -> RefreshInProgress:
        """The call may still land: the claim stays ours until its deadline."""
        self._ports.observer.note("refresh.unknown", run.grant.key, trigger=run.trigger, reason=step.reason)
        # Who waits presents it again at the deadline; the worker backs off from one who always fails.
        wait = back_off(run.grant.failures + 1, run.grant.pair.lifetime, self._ports.roll())
        again_at = max(run.claim.deadline_at, self._ports.clock() + wait)
        aftermath = Aftermath(
            keep_claim=True,
            failed=step.reason,
            retry_at=again_at,
            due_at=again_at,
            distrust=step.forced,
            known=run.grant.marks,
            event="refresh.unknown",
        )
        if not await self._end(run, aftermath) and step.forced:
            await self.distrust(run)
        left = run.claim.deadline_at - self._ports.clock()
        return RefreshInProgress(
            "The answer of upstream was lost; the refresh goes on when that call can no longer land.",
            retry_after_s=max(1.0, left.total_seconds()),
        )

    async def give_up(self, run: Run, step: GiveUp) -> UpstreamUnavailable:
        """Upstream did nothing: end the claim and back off (the user alone, or the whole client)."""
        key, now = run.grant.key, self._ports.clock()
        self._ports.observer.note("refresh.unavailable", key, trigger=run.trigger, reason=step.reason)
        shared = await self._calls.heard(key.client, step.answer)
        failures = 1 if shared else run.grant.failures + 1
        roll, rest = self._ports.roll(), timedelta(seconds=_rest_s(step.answer))
        wait = max(back_off(failures, run.grant.pair.lifetime, roll), rest)
        dead = isinstance(run.progress.presented, Denied) and run.progress.presented.code is (
            Denial.REFRESH_TOKEN_DEAD
        )
        aftermath = Aftermath(
            failed=None if shared else step.reason,
            retry_at=now + wait,
            due_at=now + wait,
            refresh_token_dead=True if dead else None,
            known=run.grant.marks,
            event="refresh.unavailable",
            reason=step.reason,
        )
        await self._end(run, aftermath)
        # Who asks again is let through at once: only work ahead of time has to wait that long.
        ask_again = max(back_off(1, run.grant.pair.lifetime, roll), rest)
        return UpstreamUnavailable(retry_after_s=ask_again.total_seconds())

    async def bury(self, run: Run, reason: str) -> GrantDead:
        """The grant cannot be had back without the user."""
        await self._ports.cache.forget(run.grant.key)
        await self._end(run, Aftermath(state=GrantState.DEAD, reason=reason, event="grant.died"))
        self._ports.observer.note("grant.died", run.grant.key, reason=reason, trigger=run.trigger)
        return GrantDead(f"The user's grant is dead ({reason}): create or enrol the user again.")

    async def distrust(self, run: Run) -> None:
        """Our force-refresh may kill, or have killed, the pair that another has stored meanwhile."""
        key = run.grant.key
        await self._ports.cache.forget(key)
        await persistently(lambda: self._ports.grants.distrust(key), self._ports.observer, key)
        self._ports.observer.note("grant.distrusted", key)

    async def _end(self, run: Run, aftermath: Aftermath) -> bool:
        """End the claim; False when it was no longer ours.

        One that cannot be ended now runs out by itself at its deadline.
        """
        try:
            ended = await self._ports.claims.end_claim(run.claim, aftermath)
        except StorageUnavailable:
            self._ports.observer.note("claim.left", run.grant.key, reason="storage_unavailable")
            return True
        if ended and aftermath.distrust:
            self._ports.observer.note("grant.distrusted", run.grant.key)
        return ended


def _rest_s(answer: object) -> float:
    return answer.retry_after_s or 0.0 if isinstance(answer, Unavailable) else 0.0
