"""What upstream answered, as values: an answer is expected, whatever it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Stated:
    """What a token, or the answer that carried it, says of itself: hints for scheduling, never trusted.

    `issued_at` and `ends_at` are in upstream's clock; either may be missing or absurd. `other_client`: it
    says that another OAuth client's user has it.
    """

    owner_id: str | None = None
    issued_at: datetime | None = None
    ends_at: datetime | None = None
    refresh_token_ends_at: datetime | None = None
    other_client: bool = False


@dataclass(frozen=True, slots=True)
class MintedPair:
    """A pair as upstream issued it, before the broker has placed it in its own time."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    stated: Stated = Stated()


class Denial(StrEnum):
    """Upstream's definitive "no", by what it is about."""

    REFRESH_TOKEN_DEAD = "refresh_token_dead"
    TOKEN_REFUSED = "token_refused"
    USER_GONE = "user_gone"
    EXISTS = "exists"
    INVALID = "invalid"
    CLIENT_FAULT = "client_fault"


@dataclass(frozen=True, slots=True)
class Rotated:
    """Upstream issued a new pair."""

    minted: MintedPair


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Upstream accepted what was shown to it (an access token, or the client's credentials)."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Upstream refused, definitively; `detail` is our own wording, never upstream's body."""

    code: Denial
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Upstream did nothing: not reached, or it said so (429). `retry_after_s` when it stated one."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have been carried out and its answer is lost or not understood."""

    reason: str


HELD_BACK = Unavailable("held back")
"""Nothing was sent: who asked for the call no longer wanted it when its first byte was about to leave."""

RotationOutcome = Rotated | Denied | Unavailable | Unknown
CheckOutcome = Confirmed | Denied | Unavailable | Unknown


@dataclass(frozen=True, slots=True)
class UpstreamUser:
    """A user as upstream describes it. `email` is the app's own form, without upstream's suffix."""

    upstream_id: str
    email: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """Upstream created a user and issued its first pair."""

    user: UpstreamUser
    minted: MintedPair


@dataclass(frozen=True, slots=True)
class Found:
    """Upstream's answer to a look-up: the users that match, possibly none."""

    users: tuple[UpstreamUser, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Upstream carried the request out and there is nothing more to say."""


CreateOutcome = Created | Denied | Unavailable | Unknown
LookupOutcome = Found | Denied | Unavailable | Unknown
ChangeOutcome = Done | Denied | Unavailable | Unknown
