"""Carries one claim out: takes the steps that `recovery` decides and ends the claim one way or another.

Between upstream's answer and the commit nothing else happens; the commit is tried for as long as the
process lives.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from service.broker.calls import Calls
from service.broker.endings import Endings, Fenced, Refreshed, Run
from service.broker.expiry import place_minted
from service.broker.limits import Limits
from service.broker.model import (
    HELD_BACK,
    Claim,
    ClaimKind,
    Denial,
    Denied,
    Grant,
    GrantState,
    LineageEntry,
    Marks,
    Rotated,
    RotationOutcome,
    Trigger,
    Unknown,
)
from service.broker.persistence import persistently
from service.broker.policy import Terms, cached_until, counts_until, due_at
from service.broker.ports import Ports, Settlement
from service.broker.recovery import (
    Asker,
    Bury,
    Check,
    Force,
    GiveUp,
    Keep,
    Leave,
    Present,
    Progress,
    Step,
    Store,
    next_step,
)

_NEXT_CALL_WAITS_S = 1.0
_USUAL_RECOVERIES = 2


class Claims:
    """Presents, settles, recovers and ends claims."""

    def __init__(self, ports: Ports, terms: Terms, calls: Calls) -> None:
        self._ports = ports
        self._terms = terms
        self._endings = Endings(ports, terms, calls)
        # More than two in a lifetime are not bad luck: somebody else works with the same OAuth client.
        self._recoveries = Limits(
            _USUAL_RECOVERIES / terms.access_token_lifetime.total_seconds(), burst=_USUAL_RECOVERIES
        )

    async def carry_out(self, grant: Grant, trigger: Trigger, asker: Asker) -> Refreshed:
        """Work the claim that `grant` holds to its end.

        Raises Fenced, GrantDead, UpstreamUnavailable, and RefreshInProgress when an answer was lost.
        """
        if grant.claim is None:
            raise Fenced
        run = Run(grant, grant.claim, trigger, asker, Progress())
        recovers = self._ports.providers[grant.key.client].recovers
        while True:
            now = self._ports.clock()
            step = next_step(run.grant, run.progress, asker, now, self._terms, recovers=recovers)
            if not isinstance(step, Present | Check | Force):
                return await self._finish(run, step)
            run = await self._ask_upstream(run, step)

    async def _ask_upstream(self, run: Run, step: Present | Check | Force) -> Run:
        provider = self._ports.providers[run.grant.key.client]
        match step:
            case Present(after):
                run = await self._in_time(run, ClaimKind.REFRESH, after)
                may_send = partial(self._in_hand, run.claim)
                outcome = await provider.refresh(run.grant.pair.refresh_token, may_send=may_send)
                if outcome == HELD_BACK:
                    return run
                return replace(run, progress=run.progress.after_presenting(self._own(run, outcome)))
            case Force():
                # From here on the current access token may die at any moment, also after a crash of ours.
                await self._ports.cache.block(run.grant.key, run.grant.generation)
                run = await self._in_time(run, ClaimKind.FORCE)
                may_send = partial(self._in_hand, run.claim)
                outcome = await provider.recover(run.grant.upstream_id, may_send=may_send)
                if outcome == HELD_BACK:
                    return run
                return replace(run, progress=replace(run.progress, forced=self._own(run, outcome)))
            case Check():
                checked = await provider.check(run.grant.pair.access_token)
                if isinstance(checked, Denied) and checked.code is Denial.TOKEN_REFUSED:
                    await self._refuse(run.grant)
                    marks = replace(run.grant.marks, refused=True)
                    run = replace(run, grant=replace(run.grant, marks=marks))
                return replace(run, progress=replace(run.progress, checked=checked))

    async def _in_time(self, run: Run, kind: ClaimKind, after: timedelta = timedelta(0)) -> Run:
        """Stamp the claim anew unless this is its first call and was claimed only just now.

        Looked at once more after each stamp, and by `may_send` when the call's first byte is about to leave:
        a process that was stopped meanwhile must not send under a claim that another may have retaken.
        """
        if after:
            await asyncio.sleep(after.total_seconds())
        anew = run.progress.presentations > 0 or kind is ClaimKind.FORCE
        if anew:
            await self._ports.budget.take(run.grant.key.client, _NEXT_CALL_WAITS_S)
        while anew or not self._in_hand(run.claim):
            claim = await self._ports.claims.restamp(run.claim, kind)
            if claim is None:
                raise Fenced
            run, anew = replace(run, claim=claim), False
        return run

    def _in_hand(self, claim: Claim) -> bool:
        """Whether a call sent now can be settled before the claim's deadline."""
        needs = self._terms.upstream_timeout + self._terms.database_timeout
        return self._ports.clock() + needs < claim.deadline_at

    def _own(self, run: Run, outcome: RotationOutcome) -> RotationOutcome:
        """A pair of another upstream user is never stored: the outcome counts as unknown."""
        if isinstance(outcome, Rotated):
            owner_id = outcome.minted.stated.owner_id
            if owner_id is not None and owner_id != run.grant.upstream_id:
                self._ports.observer.note("pair.foreign", run.grant.key, trigger=run.trigger)
                return Unknown("owner_mismatch")
        return outcome

    async def _refuse(self, grant: Grant) -> None:
        await self._ports.cache.block(grant.key, grant.generation)
        await self._ports.grants.mark_refused(grant.key, grant.generation)
        self._ports.observer.note("grant.refused", grant.key, generation=grant.generation)

    async def _finish(self, run: Run, step: Step) -> Refreshed:
        match step:
            case Store():
                return await self._store(run, step)
            case Keep(confirmed):
                return await self._endings.keep(run, confirmed=confirmed)
            case Leave():
                raise await self._endings.leave(run, step)
            case GiveUp():
                raise await self._endings.give_up(run, step)
            case Bury(reason):
                raise await self._endings.bury(run, reason)
        raise Fenced

    async def _store(self, run: Run, step: Store) -> Refreshed:
        settlement = self._settlement(run, step)
        settled = await persistently(lambda: self._settle(settlement), self._ports.observer, run.grant.key)
        if settled is None:
            if step.forced:
                await self._endings.distrust(run)
            raise Fenced
        await self._publish(settled)
        lead_s = (run.grant.pair.expires_at - settlement.pair.issued_at).total_seconds()
        facts = {"trigger": run.trigger, "generation": settled.generation}
        self._ports.observer.note("refresh.rotated", run.grant.key, lead_s=lead_s, **facts)
        if step.forced and run.trigger is not Trigger.FORCED:
            self._ports.observer.note("grant.recovered", run.grant.key, kind="force", **facts)
            if self._recoveries.take(run.grant.key, self._ports.clock()) > 0:
                self._ports.observer.note("grant.contended", run.grant.key)
        return Refreshed(settled)

    def _settlement(self, run: Run, step: Store) -> Settlement:
        terms = self._terms
        placed = place_minted(
            step.minted,
            run.claim.claimed_at,
            configured=terms.access_token_lifetime,
            margin=terms.refresh_margin,
            roll=self._ports.roll(),
        )
        if placed.implausible:
            self._ports.observer.note("expiry.implausible", run.grant.key, trigger=run.trigger)
        marks = Marks(distrusted_until=run.grant.marks.distrusted_until)
        after = replace(run.grant, pair=placed.pair, marks=marks, claim=None, retry_at=None, failures=0)
        return Settlement(
            claim=run.claim,
            pair=placed.pair,
            used=run.asker.waits,
            counts_until=counts_until(placed.pair.expires_at, terms),
            due_at=due_at(after, terms, used=run.asker.waits),
            trigger=run.trigger,
        )

    async def _settle(self, settlement: Settlement) -> Grant | None:
        """Commit once; None when the claim was lost to another."""
        settled = await self._ports.claims.settle(settlement)
        if settled is not None:
            return settled
        # The commit of an earlier try may have succeeded with its answer lost.
        current = await self._ports.grants.load(settlement.claim.key)
        ours = settlement.pair.access_token
        return current if current is not None and current.pair.access_token == ours else None

    async def _publish(self, settled: Grant) -> None:
        current = settled.current()
        entry = LineageEntry(
            settled.key, settled.generation, counts_until(settled.pair.expires_at, self._terms)
        )
        if settled.marks == Marks() and settled.state is GrantState.LIVE:
            fingerprint = self._ports.fingerprints.of(current.access_token)[0]
            entry = entry._replace(counts_until=cached_until(entry, current.binding, self._terms))
            await self._ports.cache.put(current, [(fingerprint, entry)])
        await self._ports.wakeups.notify(settled.key, settled.generation)
