"""The recovery ladder: decides the next step of one claim, from what upstream has answered so far.

Pure. The order of the rungs is design rule 6: present the refresh token until a definitive answer
exists; when it is dead, serve the access token while it is good; force only when that one is dead too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.broker.model import (
    CheckOutcome,
    Confirmed,
    Denial,
    Denied,
    Grant,
    MintedPair,
    Rotated,
    RotationOutcome,
    Unavailable,
    Unknown,
)
from service.broker.policy import Terms, min_life, settling


@dataclass(frozen=True, slots=True)
class Asker:
    """Who the claim works for: a caller who waits, and one who said the current token was refused."""

    waits: bool
    complained: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What upstream has answered under this claim so far."""

    presented: RotationOutcome | None = None
    presentations: int = 0
    checked: CheckOutcome | None = None
    forced: RotationOutcome | None = None

    def after_presenting(self, outcome: RotationOutcome) -> Progress:
        """Return the progress with one more presentation of the refresh token."""
        return replace(self, presented=outcome, presentations=self.presentations + 1)


@dataclass(frozen=True, slots=True)
class Present:
    """Present the refresh token, after waiting so long."""

    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Check:
    """Ask upstream whether the current access token is still good."""


@dataclass(frozen=True, slots=True)
class Force:
    """Have every token of the user replaced; upstream's word that the access token is dead is in hand."""


@dataclass(frozen=True, slots=True)
class Store:
    """Commit this pair before anything else happens."""

    minted: MintedPair
    forced: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """The refresh token is dead and the access token good: serve it, force when it dies."""

    confirmed: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """The call may have been carried out: leave the claim to its deadline."""

    reason: str
    forced: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nothing was done upstream: end the claim and try again later. `answer` is what upstream said."""

    reason: str
    answer: RotationOutcome | CheckOutcome | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """The user is gone, or the grant cannot be had back without the user: DEAD."""

    reason: str


Step = Present | Check | Force | Store | Keep | Leave | GiveUp | Bury


def next_step(
    grant: Grant, progress: Progress, asker: Asker, now: datetime, terms: Terms, *, recovers: bool
) -> Step:
    """Return what to do next under the claim that `grant` holds."""
    if progress.forced is not None:
        return _after_answer(progress.forced, forced=True) or GiveUp("force_refused")
    if grant.marks.force_pending and recovers:
        return Force()
    if grant.marks.refresh_token_dead:
        return _without_refresh_token(grant, progress, asker, now, terms, recovers=recovers)
    if progress.presented is None:
        return Present()
    answered = _after_answer(progress.presented, forced=False)
    if answered is not None:
        return answered
    young, wait = settling(grant.pair.lifetime)
    if progress.presentations == 1 and now - grant.pair.issued_at < young:
        return Present(after=wait)
    return _without_refresh_token(grant, progress, asker, now, terms, recovers=recovers)


def _after_answer(outcome: RotationOutcome, *, forced: bool) -> Step | None:
    """Return the step an answer leads to by itself; None when it says the refresh token is dead."""
    match outcome:
        case Rotated(minted):
            return Store(minted, forced)
        case Unknown(reason):
            return Leave(reason, forced)
        case Unavailable(reason):
            return GiveUp(reason, outcome)
        case Denied(Denial.USER_GONE):
            return Bury("user_gone")
        case Denied(Denial.REFRESH_TOKEN_DEAD):
            return None
        case Denied(code, detail):
            return GiveUp(detail or code, outcome)


def _without_refresh_token(
    grant: Grant, progress: Progress, asker: Asker, now: datetime, terms: Terms, *, recovers: bool
) -> Step:
    """The refresh token is dead: what becomes of the access token decides."""
    last = Force() if recovers else Bury("refused")
    dead_at = grant.pair.expires_at
    if asker.waits:
        dead_at -= min_life(grant.pair.lifetime, terms)
    if grant.marks.refused or now >= dead_at:
        return last
    if not asker.complained:
        return Keep(confirmed=False)
    match progress.checked:
        case None:
            return Check()
        case Confirmed():
            return Keep(confirmed=True)
        case Denied(Denial.TOKEN_REFUSED):
            return last
        case Denied(code, detail):
            return GiveUp(detail or code, progress.checked)
        case Unavailable(reason) | Unknown(reason):
            return GiveUp(reason, progress.checked)
