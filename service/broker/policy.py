"""Decides, without doing anything: what to answer, when the worker has work, how long to back off.

Pure functions of values, `now` and `roll`. Imports the model and the errors only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from service.broker.errors import GrantDead, GrantPaused, UserUnknown
from service.broker.model import (
    Binding,
    CurrentToken,
    Grant,
    GrantState,
    LineageEntry,
    Marks,
    Standing,
    TokenPair,
    Trigger,
)

_VOUCH_AGAIN = timedelta(minutes=1)
_CONFIRMATION_HOLDS = timedelta(seconds=30)
_SETTLING = timedelta(seconds=10)
_SETTLING_WAIT = timedelta(seconds=2)
_BACK_OFF = timedelta(seconds=30)
_LONGEST_BACK_OFF = timedelta(hours=1)
_KEEP_ALIVE = timedelta(days=300)
_CURRENT_ONLY_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Terms:
    """The durations the broker decides by; interface.md section 2 gives each its setting."""

    refresh_margin: timedelta = timedelta(minutes=10)
    min_life: timedelta = timedelta(seconds=60)
    access_token_lifetime: timedelta = timedelta(minutes=60)
    superseded_window: timedelta = timedelta(hours=24)
    binding_idle: timedelta = timedelta(days=7)
    binding_absolute: timedelta = timedelta(days=30)
    ahead_all: bool = False
    upstream_timeout: timedelta = timedelta(seconds=10)
    database_timeout: timedelta = timedelta(seconds=3)
    claim_deadline: timedelta = timedelta(seconds=20)
    user_rotations_per_s: float = 0.1

    @property
    def flight_limit(self) -> timedelta:
        """How long a flight for waiting callers goes on: a lost claim is waited out and retaken once."""
        return self.claim_deadline + self.upstream_timeout + self.database_timeout


class Freshness(Enum):
    """How much life a pair has left."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class Presented(Enum):
    """What the caller showed: nothing (a service asks by id), an older token, or the current one."""

    NOTHING = "nothing"
    SUPERSEDED = "superseded"
    CURRENT = "current"


class Decision(StrEnum):
    """What to do for a caller."""

    SERVE = "serve"
    SERVE_AND_REFRESH = "serve_and_refresh"
    CONFIRM = "confirm"
    MUST_REFRESH = "must_refresh"


class Due(Enum):
    """What the worker does for a grant that is due."""

    ROTATE = "rotate"
    CONFIRM = "confirm"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Asked:
    """How a caller asks: what it showed, how much life it needs, and what was just established.

    `confirmed_now`: upstream confirmed this very token for this very call. `confirmed_lately`: it did
    so for an earlier complaint less than 30 s ago.
    """

    presented: Presented
    min_ttl: timedelta = timedelta(0)
    confirmed_now: bool = False
    confirmed_lately: bool = False


def on_read(current: CurrentToken, marks: Marks, asked: Asked, now: datetime, terms: Terms) -> Decision:
    """Decide what a caller gets of a LIVE grant. Never the token it presented, unless just confirmed."""
    freshness = freshness_of(current, now, terms)
    if marks.refused or marks.force_pending or freshness is Freshness.EXPIRED:
        return Decision.MUST_REFRESH
    if current.expires_at - now < asked.min_ttl:
        return Decision.MUST_REFRESH
    if asked.confirmed_now:
        return Decision.SERVE
    if marks.distrusted:
        return Decision.CONFIRM
    if asked.presented is Presented.CURRENT:
        fresh = freshness is Freshness.FRESH and not asked.confirmed_lately
        return Decision.CONFIRM if fresh else Decision.MUST_REFRESH
    return Decision.SERVE_AND_REFRESH if freshness is Freshness.STALE else Decision.SERVE


def plainly_served(current: CurrentToken, now: datetime, terms: Terms) -> bool:
    """Whether `on_read` has a token without marks served as it is, to whoever did not present that very one.

    Never says so where it has not; of the last `min_life` of a pair it says nothing.
    """
    return now < current.refresh_at and current.expires_at - now > terms.min_life


def require_live(grant: Grant | None) -> Grant:
    """Return the grant if it is LIVE; else raise UserUnknown, GrantDead or GrantPaused."""
    if grant is None:
        raise UserUnknown
    if grant.state is GrantState.DEAD:
        raise GrantDead(f"The user's grant is dead ({grant.reason}): create or enrol the user again.")
    if grant.state is GrantState.PAUSED:
        raise GrantPaused
    return grant


def freshness_of(current: CurrentToken | TokenPair, now: datetime, terms: Terms) -> Freshness:
    """Return the freshness of a pair at `now`."""
    if now >= current.expires_at - min_life(current.lifetime, terms):
        return Freshness.EXPIRED
    return Freshness.STALE if now >= current.refresh_at else Freshness.FRESH


def min_life(lifetime: timedelta, terms: Terms) -> timedelta:
    """Return the least life an answered token has: capped at a quarter of the pair's lifetime."""
    return min(terms.min_life, lifetime / 4)


def refusal_of(
    entry: LineageEntry, current: CurrentToken | Standing, now: datetime, terms: Terms, *, bound: bool
) -> str | None:
    """Return why a presented token no longer identifies its user, or None when it does.

    `bound`: through the refresh endpoint, where the app must have vouched for the user of late.
    """
    if entry.generation <= current.not_before_generation:
        return "revoked"
    if now >= entry.counts_until:
        return "window"
    if not terms.superseded_window and entry.generation != current.generation:
        return "superseded"
    if bound and now >= bound_until(current.binding, terms):
        return "binding"
    return None


def cached_until(entry: LineageEntry, binding: Binding, terms: Terms) -> datetime:
    """Return until when a cache may say whose token this is: no longer than it counts at any door.

    What is refused is then no answer from a cache, however long it has been refused, but one from the
    database like that to any unknown token.
    """
    return min(entry.counts_until, bound_until(binding, terms))


def bound_until(binding: Binding, terms: Terms) -> datetime:
    """Return until when the refresh endpoint alone keeps a user going; the absolute limit never slides."""
    last_seen = max(binding.vouched_at, binding.refreshed_at or binding.vouched_at)
    return min(binding.vouched_at + terms.binding_absolute, last_seen + terms.binding_idle)


def vouched_lately(binding: Binding, now: datetime) -> bool:
    """Whether it is soon enough since the app vouched for the user that doing so again changes nothing."""
    return now - binding.vouched_at < _VOUCH_AGAIN


def counts_until(expires_at: datetime, terms: Terms) -> datetime:
    """Return when an access token stops identifying its user."""
    return expires_at + (terms.superseded_window or _CURRENT_ONLY_WINDOW)


def due_at(grant: Grant, terms: Terms, *, used: bool) -> datetime | None:
    """Return the next instant the worker has something to do for this grant, or None.

    A pair that nobody was given is only kept alive before its refresh token ages out.
    """
    if grant.state is not GrantState.LIVE:
        return None
    if grant.claim is not None:
        return grant.claim.deadline_at
    pair, marks = grant.pair, grant.marks
    if marks.force_pending or (marks.refused and used):
        return grant.retry_at or pair.issued_at
    if marks.refresh_token_dead:
        return later(pair.expires_at, grant.retry_at)
    wanted = pair.refresh_at if used or terms.ahead_all else keep_alive_at(pair)
    if marks.distrusted_until is not None and used:
        wanted = min(wanted, marks.distrusted_until)
    return later(wanted, grant.retry_at)


def keep_alive_at(pair: TokenPair) -> datetime:
    """Return when an unused pair is replaced all the same, so that its refresh token does not age out."""
    at_the_latest = pair.issued_at + _KEEP_ALIVE
    if pair.refresh_token_expires_at is None:
        return at_the_latest
    stated = pair.refresh_token_expires_at - pair.issued_at
    return min(at_the_latest, pair.issued_at + stated * 5 / 6)


def when_due(grant: Grant, now: datetime, terms: Terms, *, retaken: bool) -> Due:
    """Return what the worker does for a grant it found due; `retaken` when its claim had been left."""
    pair, marks = grant.pair, grant.marks
    if marks.force_pending or retaken:
        return Due.ROTATE
    if marks.refresh_token_dead:
        return Due.ROTATE if now >= pair.expires_at or marks.refused else Due.PARK
    if marks.refused:
        return Due.ROTATE
    used = grant.first_used_at is not None or terms.ahead_all
    if now >= keep_alive_at(pair) or (used and now >= pair.refresh_at):
        return Due.ROTATE
    distrusted_until = marks.distrusted_until
    return Due.CONFIRM if distrusted_until is not None and now >= distrusted_until else Due.PARK


def trigger_when_due(grant: Grant, now: datetime, *, retaken: bool) -> Trigger:
    """Return why the worker replaces this due grant's pair."""
    marks = grant.marks
    if marks.force_pending:
        return Trigger.FORCED
    if retaken or marks.refused or marks.refresh_token_dead:
        return Trigger.RECOVERY
    return Trigger.KEEPALIVE if now >= keep_alive_at(grant.pair) else Trigger.AHEAD


def worth_trying(grant: Grant, now: datetime) -> bool:
    """Whether work that nobody waits for may try to replace the pair now."""
    if grant.retry_at is not None and now < grant.retry_at:
        return False
    spent = grant.marks.refresh_token_dead and not grant.marks.refused
    return not spent or now >= grant.pair.expires_at


def back_off(failures: int, lifetime: timedelta, roll: float) -> timedelta:
    """Return how long a grant is left alone after its `failures`-th failure in a row."""
    first = min(_BACK_OFF, lifetime / 20)
    longest = min(_LONGEST_BACK_OFF, lifetime)
    doubled: timedelta = first * (1 << min(failures - 1, 16))
    return min(doubled, longest) * (0.75 + roll / 2)


def settling(lifetime: timedelta) -> tuple[timedelta, timedelta]:
    """Return how young a pair is that a lagging replica upstream may not know, and how long to wait."""
    return min(_SETTLING, lifetime / 20), min(_SETTLING_WAIT, lifetime / 40)


def confirmation_holds(lifetime: timedelta) -> timedelta:
    """Return how long a confirmation makes the same complaint count as a reason to rotate."""
    return min(_CONFIRMATION_HOLDS, lifetime / 4)


def later(instant: datetime, other: datetime | None) -> datetime:
    """Return the later of two instants, of which the second may be missing."""
    return instant if other is None else max(instant, other)
