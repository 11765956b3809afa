"""Clock, cache, locks, budget and ears: none raises, without its store each says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from service.broker.model import (
    CurrentToken,
    Fingerprint,
    LineageEntry,
    UserKey,
)

Result = TypeVar("Result")

Clock = Callable[[], datetime]
"""Now, as aware UTC in the database's time (local clock plus a measured offset)."""

Roll = Callable[[], float]
"""A number in [0, 1), drawn where jitter is decided."""


class CacheHit(NamedTuple):
    """A cached answer to a fingerprint: the user's current token and which generation was presented.

    `confirmed`: for those alone who waited while upstream confirmed this very token.
    """

    presented: LineageEntry
    current: CurrentToken
    source: str = "redis"
    confirmed: bool = False


Found = Callable[["CacheHit | None"], None]
"""Takes what a cache holds; None is a miss."""


class Cache(Protocol):
    """Answers kept in Redis, sealed, and for at most a second in this process; may be lost at any time."""

    async def find(self, fingerprints: Sequence[Fingerprint]) -> CacheHit | None:
        """Return what is cached for a presented token; None on a miss or without Redis."""

    async def current(self, key: UserKey) -> CacheHit | None:
        """Return what is cached for a user (`presented` is then the current generation itself)."""

    async def put(
        self,
        current: CurrentToken,
        presented: Sequence[tuple[Fingerprint, LineageEntry]] = (),
        *,
        reopen: bool = False,
    ) -> None:
        """Cache an answer unless a newer generation, or a block on this one, stands there.

        `reopen` lifts a block on exactly this generation: only for who has just had it confirmed.
        """

    async def block(self, key: UserKey, generation: int) -> bool:
        """Drop what is cached and refuse `generation` and older ones; False when Redis did not do it."""

    async def forget(self, key: UserKey) -> bool:
        """Drop what is cached and refuse every generation up to now; False when Redis did not do it."""

    async def note_confirmed(self, key: UserKey, generation: int, seconds: float) -> None:
        """Remember that upstream has just confirmed this generation's token."""

    async def recently_confirmed(self, key: UserKey, generation: int) -> bool:
        """Whether `note_confirmed` for this generation is still remembered."""

    near_life_s: float
    """How long a near entry may still be served after it was dropped in Redis."""


class Looks(Protocol):
    """The same cache for who does not wait: what this process remembers, and one question for all who ask."""

    def near(self, look: Fingerprint | UserKey) -> CacheHit | None:
        """Return what this process itself remembers for a presented token or a user."""

    def ask(self, look: Fingerprint | UserKey, found: Found) -> None:
        """Ask for it, together with whatever else is asked in this turn of the loop.

        `found` is called later with what there is, None without Redis too, and must not raise.
        """


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What became of asking for a lease: held by us, held by another, or no lease store."""

    held: bool
    busy: bool


class Leases(Protocol):
    """Per-user locks in Redis: short, owned, renewed, self-expiring. Efficiency only."""

    def hold(self, key: UserKey) -> AbstractAsyncContextManager[LeaseState]:
        """Try once for the lease; renew it while the block runs, give it back after."""


class Wakeups(Protocol):
    """Tells every process that a user has a new generation."""

    async def notify(self, key: UserKey, generation: int) -> None:
        """Say that `generation` is current now."""

    async def wait(self, key: UserKey, seen: int, timeout_s: float) -> bool:
        """Wait for a generation above `seen`; False when the time passed (it may still have come)."""


@dataclass(frozen=True, slots=True)
class BudgetSight:
    """What a client's budget of upstream calls holds: how many may be made now, and at which rate."""

    per_minute: float
    capacity: float
    ready: float
    paused_s: float


class Budget(Protocol):
    """Upstream calls a client may make, shared by all replicas; callers come before work ahead of time."""

    async def take(self, client: str, timeout_s: float) -> bool:
        """Take one call for a caller who waits; False when none came free in time."""

    async def take_ahead(self, client: str, most: int) -> int:
        """Take up to `most` calls for work ahead of time, leaving the callers' share; 0 is an answer."""

    async def give_back(self, client: str, count: int) -> None:
        """Return calls that were taken and not made."""

    async def pause(self, client: str, seconds: float) -> None:
        """Let nobody call for so long: upstream has said so."""

    async def look(self, client: str) -> BudgetSight | None:
        """Return what the budget holds and take nothing; None when it cannot be known now."""


class Fingerprints(Protocol):
    """Makes fingerprints of access tokens under the key ring."""

    def of(self, access_token: str) -> tuple[Fingerprint, ...]:
        """Return the token's fingerprints, the one under the writing key first."""


class Observer(Protocol):
    """Hears what happens: one call is one log event and the metrics that hang on it."""

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Note a dotted event with its facts; never a token."""


class Trail(Protocol):
    """One piece of work, followed from when it was decided on; who never calls `follow` leaves no trace."""

    async def follow(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do the work as part of this trail and return its result."""

    def joined(self) -> None:
        """Note that whoever runs now waits for this work as well."""


class Tracer(Protocol):
    """Follows work that outlives its caller: what happens in it is seen as one with who began it."""

    def begin(self, name: str, client: str, why: str = "") -> Trail:
        """Begin a trail here and now, below what runs now."""
