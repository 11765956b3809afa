"""Grants, their pairs, claims and marks, and what becomes of a token that is no longer current."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


# What names something is a tuple: it is hashed and compared a dozen times for each answer, and a
# dataclass does either in Python.
class UserKey(NamedTuple):
    """Names one user of one OAuth client: the client's name here and the app's own user id."""

    client: str
    user_id: str


class GrantState(StrEnum):
    """Where a grant stands; a reason always stands beside it."""

    LIVE = "LIVE"
    DEAD = "DEAD"
    PAUSED = "PAUSED"


class Trigger(StrEnum):
    """Why a pair is replaced: the label of `refreshes_total` and of the refresh events."""

    REQUEST = "request"
    AHEAD = "ahead"
    KEEPALIVE = "keepalive"
    FORCED = "forced"
    RECOVERY = "recovery"


class ClaimKind(StrEnum):
    """What a claim's holder presents upstream: the refresh token, or a force-refresh."""

    REFRESH = "refresh"
    FORCE = "force"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Access and refresh token issued together, with their instants (aware UTC, database clock)."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    refresh_at: datetime
    refresh_token_expires_at: datetime | None = None

    @property
    def lifetime(self) -> timedelta:
        """How long the access token lives in all."""
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Claim:
    """The committed right to present generation `generation`'s refresh token, until `deadline_at`."""

    key: UserKey
    generation: int
    epoch: int
    kind: ClaimKind
    owner: str
    claimed_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Marks:
    """What makes a LIVE grant's current token unfit to be simply served.

    `refused`: upstream refused the current access token. `distrusted_until`: a force-refresh of unknown
    outcome may still land; stays set until upstream confirmed the token after that instant.
    `refresh_token_dead`: upstream said definitively that the current refresh token is spent or unknown.
    `force_pending`: a revoke or force was asked for and upstream has not done it yet.
    """

    refused: bool = False
    distrusted_until: datetime | None = None
    refresh_token_dead: bool = False
    force_pending: bool = False

    @property
    def distrusted(self) -> bool:
        """Whether every answer needs a confirmation first."""
        return self.distrusted_until is not None


class Binding(NamedTuple):
    """Since when the app has vouched for the user, and when a browser last refreshed."""

    vouched_at: datetime
    refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One user's standing consent under one client, with its current pair: the row the broker owns."""

    key: UserKey
    upstream_id: str
    state: GrantState
    reason: str
    generation: int
    pair: TokenPair
    binding: Binding
    marks: Marks = Marks()
    claim: Claim | None = None
    first_used_at: datetime | None = None
    not_before_generation: int = 0
    failures: int = 0
    retry_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    def current(self) -> CurrentToken:
        """Return what a door may hand out of this grant, and what the caches keep."""
        return CurrentToken(
            key=self.key,
            upstream_id=self.upstream_id,
            generation=self.generation,
            access_token=self.pair.access_token,
            issued_at=self.pair.issued_at,
            expires_at=self.pair.expires_at,
            refresh_at=self.pair.refresh_at,
            binding=self.binding,
            not_before_generation=self.not_before_generation,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a grant stands, without its tokens: what decides whether one of its lineage still counts.

    The binding is the grant's, but for who was vouched for after the last refresh: seen then as well.
    """

    key: UserKey
    state: GrantState
    generation: int
    not_before_generation: int
    binding: Binding


class CurrentToken(NamedTuple):
    """A user's current access token as the caches keep it: no refresh token, no mark.

    A grant that bears a mark or is not LIVE is never cached, so what comes from a cache has none.
    A tuple, because one is made for each answer from Redis.
    """

    key: UserKey
    upstream_id: str
    generation: int
    access_token: str
    issued_at: datetime
    expires_at: datetime
    refresh_at: datetime
    binding: Binding
    not_before_generation: int = 0

    def __repr__(self) -> str:
        """Name it without the token."""
        return f"CurrentToken(key={self.key!r}, generation={self.generation}, expires_at={self.expires_at!r})"

    @property
    def lifetime(self) -> timedelta:
        """How long the access token lives in all."""
        return self.expires_at - self.issued_at


class Fingerprint(NamedTuple):
    """HMAC-SHA-256 of an access token under the key `key_id` of the ring (32 bytes)."""

    key_id: str
    digest: bytes


class LineageEntry(NamedTuple):
    """One access token a grant has had: whose, which generation, and until when it counts."""

    key: UserKey
    generation: int
    counts_until: datetime
