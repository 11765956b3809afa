"""Decides when a pair expires, out of what its tokens say of themselves (design rule: expiry is a duration).

Pure: takes the instant and the roll. What tokens state is never trusted beyond what is plausible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.broker.model import MintedPair, Stated, TokenPair

_PLAUSIBLE_LIFETIMES = 24
_CAUTIOUS_SHARE = 0.9
_FLOOR_SHARE = 60
_EPOCH_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Placed:
    """A pair placed in the broker's time; `implausible` when what it stated was not believed."""

    pair: TokenPair
    implausible: bool


def lifetime_of(stated: Stated, configured: timedelta) -> tuple[timedelta, bool]:
    """Return the access token's lifetime and whether what was stated was implausible.

    Stated end minus `iat`, both in upstream's clock. Without a stated end: `iat` + the configured
    lifetime, floored to a sixtieth of it, as Cal.com floors 60 minutes to the minute.
    """
    if stated.issued_at is None:
        return configured * _CAUTIOUS_SHARE, True
    try:
        ends_at = stated.ends_at or _floored(stated.issued_at + configured, configured / _FLOOR_SHARE)
    except OverflowError:
        return configured * _CAUTIOUS_SHARE, True
    lifetime = ends_at - stated.issued_at
    if timedelta(0) < lifetime <= configured * _PLAUSIBLE_LIFETIMES:
        return lifetime, False
    return configured * _CAUTIOUS_SHARE, True


def place_minted(
    minted: MintedPair, sent_at: datetime, *, configured: timedelta, margin: timedelta, roll: float
) -> Placed:
    """Place a pair that upstream has just issued: it lives from the instant the call was sent."""
    lifetime, implausible = lifetime_of(minted.stated, configured)
    pair = _pair(minted, sent_at, sent_at + lifetime, margin, roll)
    return Placed(pair, implausible)


def place_enrolled(
    minted: MintedPair, now: datetime, *, configured: timedelta, margin: timedelta, roll: float
) -> Placed:
    """Place a pair the app has held for a while: its `iat` is compared with now.

    A pair whose age cannot be told counts as expired now, so that the first who asks has it replaced.
    """
    stated = minted.stated
    if stated.issued_at is None:
        return Placed(_pair(minted, now - configured, now, margin, roll), implausible=True)
    lifetime, implausible = lifetime_of(stated, configured)
    issued_at = min(stated.issued_at, now)
    return Placed(_pair(minted, issued_at, issued_at + lifetime, margin, roll), implausible)


def refresh_at(expires_at: datetime, lifetime: timedelta, margin: timedelta, roll: float) -> datetime:
    """Return when the pair becomes STALE; `roll` in [0, 1) spreads pairs over half a margin."""
    return expires_at - min(margin * (1 + roll / 2), lifetime / 2)


def _pair(
    minted: MintedPair, issued_at: datetime, expires_at: datetime, margin: timedelta, roll: float
) -> TokenPair:
    return TokenPair(
        access_token=minted.access_token,
        refresh_token=minted.refresh_token,
        issued_at=issued_at,
        expires_at=expires_at,
        refresh_at=refresh_at(expires_at, expires_at - issued_at, margin, roll),
        refresh_token_expires_at=_later_than(minted.stated.refresh_token_ends_at, issued_at),
    )


def _later_than(instant: datetime | None, floor: datetime) -> datetime | None:
    return instant if instant is not None and instant > floor else None


def _floored(instant: datetime, step: timedelta) -> datetime:
    """Floor to a multiple of `step` since the epoch."""
    epoch = datetime.fromtimestamp(0, instant.tzinfo)
    step = max(step, _EPOCH_TICK)
    return epoch + ((instant - epoch) // step) * step
