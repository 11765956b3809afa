"""What the broker needs of the world, as protocols; adapters implement them, tests wrap them.

Storage methods raise StorageUnavailable when the database cannot answer. Cache, lease, wake-up and
budget never raise: without their store they say so in their answer, and the broker goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from service.broker.model import (
    ChangeOutcome,
    CheckOutcome,
    Claim,
    ClaimKind,
    CreateOutcome,
    CurrentToken,
    Fingerprint,
    Grant,
    GrantEvent,
    GrantState,
    Intent,
    LineageEntry,
    LookupOutcome,
    Profile,
    ProfileChange,
    RotationOutcome,
    Stated,
    TokenPair,
    Trigger,
    User,
    UserKey,
)

Clock = Callable[[], datetime]
"""Now, as aware UTC in the database's time (local clock plus a measured offset)."""

Roll = Callable[[], float]
"""A number in [0, 1), drawn where jitter is decided."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A new pair to be committed over the claim it was obtained under.

    `used`: somebody waits for it, so it counts as given. `counts_until`: when its access token stops
    identifying its user. `due_at`: the next instant the worker has something to do for the grant.
    """

    claim: Claim
    pair: TokenPair
    used: bool
    counts_until: datetime
    due_at: datetime | None
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Aftermath:
    """How a claim ends without a new pair; what is left None stays as it is.

    `keep_claim` leaves the claim to its deadline (the call may still be carried out). `distrust` opens
    a window from the database's now.
    """

    keep_claim: bool = False
    failed: str | None = None
    retry_at: datetime | None = None
    due_at: datetime | None = None
    refresh_token_dead: bool | None = None
    distrust: bool = False
    state: GrantState | None = None
    reason: str | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Somebody was given this generation's token; `by_browser` when through the refresh endpoint."""

    key: UserKey
    generation: int
    at: datetime
    by_browser: bool


@dataclass(frozen=True, slots=True)
class DueGrant:
    """A grant that was due, with our claim on it; `retaken` when another's claim had been left on it."""

    grant: Grant
    retaken: bool


class ClaimStore(Protocol):
    """Claims on grants, and what comes of them."""

    async def claim(self, key: UserKey, generation: int, owner: str) -> Grant | None:
        """Commit a claim on exactly this generation of a LIVE grant.

        Returns the grant with its new claim; None when the generation has moved, the state is not LIVE
        or another holder's claim has not passed its deadline. Retaking a force claim opens a distrust
        window.
        """

    async def claim_due(self, client: str, limit: int, now: datetime, owner: str) -> list[DueGrant]:
        """Commit claims on up to `limit` grants due at `now`, most urgent first; taken ones are skipped."""

    async def restamp(self, claim: Claim, kind: ClaimKind) -> Claim | None:
        """Start the claim's deadline anew before another upstream call; None when it was lost.

        Going over to FORCE also notes that the refresh token is not to be presented again.
        """

    async def settle(self, settlement: Settlement) -> Grant | None:
        """Commit the pair as the next generation with its lineage row, and end the claim.

        None when the claim or the generation is no longer ours: nothing was written.
        """

    async def end_claim(self, claim: Claim, aftermath: Aftermath) -> bool:
        """Write how the claim ended; False when it was no longer ours and nothing was written."""


class GrantStore(Protocol):
    """The grants and their lineage: the truth."""

    async def now(self) -> datetime:
        """Return the database's clock."""

    async def find(self, fingerprints: Sequence[Fingerprint]) -> tuple[LineageEntry, Grant] | None:
        """Return the grant whose lineage holds one of these fingerprints, expired entries included."""

    async def load(self, key: UserKey) -> Grant | None:
        """Return the grant, or None when there is none."""

    async def mark_refused(self, key: UserKey, generation: int) -> bool:
        """Mark that upstream refused this generation's access token, and make it due at once."""

    async def distrust(self, key: UserKey) -> None:
        """Open (or prolong) a distrust window: a force-refresh of ours may still land."""

    async def clear_distrust(self, key: UserKey, generation: int, confirmed_at: datetime) -> bool:
        """Close the distrust window if it ended before `confirmed_at` (database clock)."""

    async def note_uses(self, uses: Sequence[Use]) -> None:
        """Write first uses of generations, and when browsers last refreshed, in one statement."""

    async def vouch(self, key: UserKey, at: datetime) -> None:
        """Note that the app has vouched for the user."""

    async def request_force(self, key: UserKey, *, revoke: bool, actor: str) -> Grant | None:
        """Mark that upstream must replace every token; with `revoke` earlier tokens stop counting now."""

    async def set_state(
        self, key: UserKey, state: GrantState, reason: str, *, due_at: datetime | None, actor: str
    ) -> Grant | None:
        """Move the grant to a state and return it; None when there is no grant."""

    async def events(self, key: UserKey, limit: int) -> list[GrantEvent]:
        """Return what happened to the grant, newest first."""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A first or replacing pair for a user: created, adopted, enrolled or recovered.

    `vouch`: the app says with it that a person has signed in. With an `intent` it is stored only while
    that intent is still ours.
    """

    key: UserKey
    upstream_id: str
    pair: TokenPair
    counts_until: datetime
    due_at: datetime | None
    event: str
    actor: str
    vouch: bool = True
    distrust: bool = False
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users a page shows: at most `limit`, those after `cursor` (a user id)."""

    client: str
    limit: int = 50
    cursor: str | None = None
    state: GrantState | None = None
    upstream_id: str | None = None
    email: str | None = None


class UserStore(Protocol):
    """The app's users and their creation intents."""

    async def load_user(self, key: UserKey) -> User | None:
        """Return the user with its intent and its grant, or None."""

    async def list_users(self, query: UserQuery) -> list[User]:
        """Return one page of users in the order of their ids, without opening any token."""

    async def begin_create(self, key: UserKey, profile: Profile, owner: str) -> User:
        """Write or take over the intent row; the returned user shows who holds the intent.

        The caller may go on only when `intent.owner == owner`. A user that is already linked comes
        back as it is, without intent; one whose grant is DEAD because upstream has no such user any
        more gets a new intent. Raises Conflict when the id or the e-mail belongs to another user.
        """

    async def note_attempt(self, key: UserKey, intent: Intent) -> Intent | None:
        """Count a create that is about to be sent and stamp the intent anew; None when it was lost."""

    async def abandon_create(self, key: UserKey, intent: Intent, *, uncertain: bool) -> None:
        """Give the intent up: keep the row when the create may have been carried out, else drop it."""

    async def link(self, grant: NewGrant, profile: Profile | None, *, replace: bool) -> User | None:
        """Store the pair as the user's grant with its lineage row, creating the user if need be.

        Onto a grant that is not DEAD only with `replace`, and under an intent only while it is ours;
        otherwise None and nothing is written. Raises Conflict when the upstream id or the e-mail
        belongs to another user.
        """

    async def change_profile(self, key: UserKey, profile: Profile) -> None:
        """Replace the stored profile. Raises Conflict when the e-mail belongs to another user."""

    async def forget(self, key: UserKey) -> bool:
        """Delete the user, the grant, every fingerprint and every event; False when there was none."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """How a client's grants stand: by state, how many are due, the longest overdue (seconds)."""

    users: dict[str, int]
    due: int
    overdue_s: float
    expired_claims: int


class Upkeep(Protocol):
    """Housekeeping of what is stored; only the worker's tick calls it."""

    async def gauges(self, client: str, now: datetime) -> Gauges:
        """Count a client's grants."""

    async def prepare_partitions(self, now: datetime) -> int:
        """Make room for the lineage of the days to come; returns how many partitions were made."""

    async def prune(self, now: datetime, events_kept: timedelta) -> int:
        """Drop what stopped counting and events out of retention; returns how much is gone."""


class Provider(Protocol):
    """One OAuth client's upstream. Answers are values; no method raises for what upstream says or does."""

    recovers: bool
    """Whether `recover` exists upstream: a pair can be had without the old refresh token."""

    async def refresh(self, refresh_token: str) -> RotationOutcome:
        """Present the one-time refresh token."""

    async def recover(self, upstream_id: str) -> RotationOutcome:
        """Have every token of the user replaced, without the refresh token (a force-refresh)."""

    async def check(self, access_token: str) -> CheckOutcome:
        """Ask upstream whether it accepts this very access token."""

    async def probe(self) -> CheckOutcome:
        """Ask upstream whether it accepts the client's credentials."""

    def describe(self, access_token: str) -> Stated:
        """Read what an access token says of itself; nothing of it is verified."""

    async def create_user(self, profile: Profile) -> CreateOutcome:
        """Create a user; its first pair comes with the answer."""

    async def find_users(self, email: str) -> LookupOutcome:
        """Find this client's users by the app's form of their e-mail address."""

    async def read_user(self, upstream_id: str) -> LookupOutcome:
        """Look one user up; Denied(USER_GONE) when it is not this client's."""

    async def change_user(self, upstream_id: str, change: ProfileChange) -> ChangeOutcome:
        """Change fields of the user's profile."""

    async def delete_user(self, upstream_id: str) -> ChangeOutcome:
        """Delete the user and every token of it; Denied(USER_GONE) when there is none."""


@dataclass(frozen=True, slots=True)
class CacheHit:
    """A cached answer to a fingerprint: the user's current token and which generation was presented."""

    presented: LineageEntry
    current: CurrentToken
    source: str = field(default="redis")


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


class Fingerprints(Protocol):
    """Makes fingerprints of access tokens under the key ring."""

    def of(self, access_token: str) -> tuple[Fingerprint, ...]:
        """Return the token's fingerprints, the one under the writing key first."""


class Observer(Protocol):
    """Hears what happens: one call is one log event and the metrics that hang on it."""

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Note a dotted event with its facts; never a token."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the use cases reach the world through."""

    claims: ClaimStore
    grants: GrantStore
    users: UserStore
    providers: dict[str, Provider]
    cache: Cache
    leases: Leases
    wakeups: Wakeups
    budget: Budget
    fingerprints: Fingerprints
    observer: Observer
    clock: Clock
    roll: Roll
    owner: str
    """Names this process in claims."""
