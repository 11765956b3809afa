"""What the use case Overview reaches the world through, and the figures that pass: counts, never a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Protocol

from service.broker.model import GrantState, UserKey
from service.broker.ports.stores import Gauges


class Concern(IntEnum):
    """Why a user needs attention, the most urgent first; the index `grants_attention` has these numbers."""

    FORCE_PENDING = 1
    REFUSED = 2
    FAILING = 3
    DISTRUSTED = 4
    DEAD = 5
    PAUSED = 6
    OVERDUE = 7


@dataclass(frozen=True, slots=True)
class Count:
    """How a client's grants stood at `at`.

    `users` by where their pair stands, each counted once; `marks` by what is the matter with it. `horizon`:
    how many pairs in use come due in each `step_s` seconds from then on.
    """

    at: datetime
    users: Mapping[str, int]
    marks: Mapping[str, int]
    overdue_s: float
    expired_claims: int
    step_s: float
    horizon: Sequence[int]


@dataclass(frozen=True, slots=True)
class Happened:
    """How many pairs were replaced, and what went wrong, from `at` on for one step of a history."""

    at: datetime
    rotated: int = 0
    failed: int = 0
    recovered: int = 0
    died: int = 0


@dataclass(frozen=True, slots=True)
class Troubled:
    """A user who needs attention, as the grant stands; `has_token`: whether a live one can be handed out."""

    key: UserKey
    concern: Concern
    upstream_id: str
    email: str | None
    state: GrantState
    reason: str
    has_token: bool
    refresh_token_dead: bool
    failures: int
    expires_at: datetime
    distrusted_until: datetime | None
    retry_at: datetime | None
    due_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True)
class TroubleQuery:
    """Which users a list shows: at most `limit`, of one concern or of all, after that place."""

    client: str
    limit: int
    concern: Concern | None = None
    after: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class SweepSight:
    """The last sweep that any worker has told of."""

    at: datetime
    claimed: int
    parked: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What processes have told each other: the last sweep, an open circuit's reason, ticks in the queue."""

    sweep: SweepSight | None
    circuit: str | None
    ticks: int


class OverviewStore(Protocol):
    """Keeps the worker's counts and reads them, and lists who needs attention."""

    async def count(self, client: str, gauges: Gauges, now: datetime) -> None:
        """Count what the gauges do not say, and keep both as the client's standing."""

    async def note_minutes(self, clients: Sequence[str], now: datetime) -> None:
        """Keep what happened in each minute that is over, and let go of what is too old."""

    async def standing(self, client: str) -> Count | None:
        """Return the last count, None when nobody has counted yet."""

    async def history(self, client: str, since: datetime, until: datetime, step: timedelta) -> list[Happened]:
        """Return what happened from `since` on, the earliest first; steps that nobody counted are missing."""

    async def troubled(self, query: TroubleQuery, now: datetime) -> list[Troubled]:
        """Return a page of who needs attention."""


class Sightings(Protocol):
    """What processes tell each other for people to see; all of it may be lost."""

    async def swept(self, client: str, sight: SweepSight) -> None:
        """Tell of a sweep."""

    async def circuit_open(self, client: str, reason: str) -> None:
        """Tell that this process's circuit of the client is open now."""

    async def seen(self, client: str) -> Seen | None:
        """Return what was told, None when it cannot be read now."""
