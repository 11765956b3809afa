"""Storage: claims, grants, users and their upkeep. Methods raise StorageUnavailable when it cannot answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from service.broker.model import (
    Claim,
    ClaimKind,
    Fingerprint,
    Grant,
    GrantState,
    HeldPair,
    Intent,
    LineageEntry,
    Marks,
    Profile,
    Standing,
    TokenPair,
    Trigger,
    User,
    UserKey,
)


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

    `known` are the marks the claim was carried out with: one that came since makes the grant due at once.
    `keep_claim` leaves the claim to its deadline (the call may still be carried out). `distrust` opens
    a window from the database's now.
    """

    keep_claim: bool = False
    failed: str | None = None
    retry_at: datetime | None = None
    due_at: datetime | None = None
    refresh_token_dead: bool | None = None
    distrust: bool = False
    known: Marks = field(default_factory=Marks)
    state: GrantState | None = None
    reason: str | None = None
    event: str | None = None


class Use(NamedTuple):
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

    async def find(self, fingerprints: Sequence[Fingerprint]) -> tuple[LineageEntry, Standing] | None:
        """Return the entry for one of these fingerprints, expired or not, and where its grant stands.

        It takes as long to find nothing: the same is read, and as much is answered.
        """

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

    async def behind(self, tokens: Sequence[tuple[UserKey, int]]) -> list[int]:
        """Return, for each user and generation, how many tokens that user has had since."""

    async def vouch(self, key: UserKey, at: datetime) -> None:
        """Note that the app has vouched for the user."""

    async def request_force(self, key: UserKey, *, revoke: bool, actor: str) -> Grant | None:
        """Mark that upstream must replace every token; with `revoke` earlier tokens stop counting now."""

    async def set_state(
        self, key: UserKey, state: GrantState, reason: str, *, due_at: datetime | None, actor: str
    ) -> Grant | None:
        """Move the grant to a state and return it; None when there is no grant."""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A first or replacing pair for a user: created, adopted, enrolled or recovered.

    `vouch`: the app says with it that a person has signed in. With an `intent` it is stored only while
    that intent is still ours. `over_unreadable`: it replaces also a LIVE pair that cannot be opened, because
    upstream has killed that one; else such a pair stands until its key is found.
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
    over_unreadable: bool = False
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

        Onto a LIVE grant only with `replace`, onto a PAUSED one never, under an intent only while it is ours;
        otherwise None and nothing is written. Raises Conflict when the upstream id or the e-mail
        belongs to another user.
        """

    async def held(self, client: str, grants: Sequence[NewGrant]) -> dict[str, HeldPair]:
        """Return what is held of the users of these pairs, by their ids, where there is something."""

    async def link_new(
        self, client: str, grants: Sequence[tuple[NewGrant, Profile | None]]
    ) -> frozenset[str]:
        """Store the pairs of users nobody knows yet, all in one; returns the ids of those it stored.

        Anything in the way of a row, its own user too, leaves that row to `link`. No user twice, all by the
        same event and actor.
        """

    async def change_profile(
        self, key: UserKey, profile: Profile, *, fields: Sequence[str], actor: str
    ) -> None:
        """Replace the stored profile, of which these fields change.

        Raises Conflict when the e-mail belongs to another user.
        """

    async def forget(self, key: UserKey, *, actor: str) -> bool:
        """Delete the user, the grant and every fingerprint; False when there was none.

        Its events stay until they are pruned, with a last one that says so and without who asked.
        """


@dataclass(frozen=True, slots=True)
class Gauges:
    """How a client's grants stand: by state, how many are due, the longest overdue (seconds).

    `bricked`: users who have had no live token for over two minutes in spite of trying.
    """

    users: dict[str, int]
    due: int
    overdue_s: float
    expired_claims: int
    bricked: int


class Upkeep(Protocol):
    """Housekeeping of what is stored; only the worker's tick calls it."""

    async def gauges(self, client: str, now: datetime) -> Gauges:
        """Count a client's grants."""

    async def prepare_partitions(self, now: datetime) -> int:
        """Make room for lineage and events of the days to come; returns how many partitions were made."""

    async def prune(self, now: datetime, events_kept: timedelta) -> int:
        """Drop what stopped counting and days of events out of retention; returns how much is gone."""
