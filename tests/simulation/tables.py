"""The rows of the simulated database; what statements do to them is in `claims`, `grants` and `users`.

Every change is atomic, as one statement or one transaction is. What the checker needs to know of claims and
generations is written down here, in the order in which it was committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from service.broker.model import (
    Binding,
    Claim,
    ClaimKind,
    Grant,
    GrantState,
    Intent,
    Marks,
    Profile,
    Standing,
    TokenPair,
    User,
    UserKey,
)

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
EPOCH = datetime.fromtimestamp(0, UTC)


class Stamped(NamedTuple):
    """A claim was committed, or stamped anew."""

    at: float
    key: UserKey
    generation: int
    epoch: int
    owner: str
    kind: ClaimKind
    deadline_at: float


class Stored(NamedTuple):
    """A pair became a user's current one."""

    at: float
    key: UserKey
    generation: int
    access_token: str
    refresh_token: str
    before: int


class KnownDead(NamedTuple):
    """It was committed that upstream takes this generation's refresh token no more."""

    at: float
    key: UserKey
    generation: int


class Revoked(NamedTuple):
    """Every generation up to this one stopped identifying its user."""

    at: float
    key: UserKey
    generation: int


class Moved(NamedTuple):
    """The grant came into a state; None when it was deleted."""

    at: float
    key: UserKey
    state: GrantState | None


@dataclass(slots=True)
class UserRow:
    """A row of users."""

    key: UserKey
    profile: Profile
    created_at: datetime
    vouched_at: datetime = EPOCH
    refreshed_at: datetime | None = None
    upstream_id: str | None = None
    intent_owner: str | None = None
    intent_epoch: int = 0
    intent_begun_at: datetime | None = None
    intent_at: datetime | None = None
    intent_attempts: int = 0
    intent_uncertain: bool = False

    def intent(self):
        if self.intent_begun_at is None:
            return None
        owner, epoch = self.intent_owner or "", self.intent_epoch
        return Intent(self.intent_begun_at, owner, epoch, self.intent_attempts, self.intent_uncertain)


@dataclass(slots=True)
class GrantRow:
    """A row of grants; `user` is the row it belongs to."""

    user: UserRow
    upstream_id: str
    reason: str
    generation: int
    pair: TokenPair
    due_at: datetime | None
    state: GrantState = GrantState.LIVE
    first_used_at: datetime | None = None
    claim_owner: str | None = None
    claim_epoch: int = 0
    claim_kind: ClaimKind | None = None
    claimed_at: datetime | None = None
    refused: bool = False
    distrusted_until: datetime | None = None
    refresh_token_dead: bool = False
    force_pending: bool = False
    not_before_generation: int = 0
    failures: int = 0
    retry_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    def free_claim(self):
        self.claim_owner = self.claim_kind = self.claimed_at = None


class Tables:
    """Everything that is stored; `clock` gives the database's time in seconds since noon."""

    def __init__(self, clock, *, claim_deadline, distrust_window):
        self.clock = clock
        self.deadline = claim_deadline
        self.window = distrust_window
        self.users = {}
        self.grants = {}
        self.lineage = {}
        self.log = []

    def now(self):
        return NOON + timedelta(seconds=self.clock())

    def held(self, claim):
        """Return the row on which this claim stands, or None."""
        row = self.grants.get(claim.key)
        if row is None or row.generation != claim.generation:
            return None
        return row if (row.claim_epoch, row.claim_owner) == (claim.epoch, claim.owner) else None

    def claim(self, row):
        if row.claim_owner is None or row.claimed_at is None:
            return None
        return Claim(
            row.user.key,
            row.generation,
            row.claim_epoch,
            row.claim_kind,
            row.claim_owner,
            row.claimed_at,
            row.claimed_at + self.deadline,
        )

    def grant(self, row):
        return Grant(
            key=row.user.key,
            upstream_id=row.upstream_id,
            state=row.state,
            reason=row.reason,
            generation=row.generation,
            pair=row.pair,
            binding=Binding(row.user.vouched_at, row.user.refreshed_at),
            marks=Marks(row.refused, row.distrusted_until, row.refresh_token_dead, row.force_pending),
            claim=self.claim(row),
            first_used_at=row.first_used_at,
            not_before_generation=row.not_before_generation,
            failures=row.failures,
            retry_at=row.retry_at,
            last_error=row.last_error,
            last_error_at=row.last_error_at,
        )

    def standing(self, row):
        vouched_at = row.user.vouched_at
        binding = Binding(vouched_at, latest(row.user.refreshed_at, vouched_at))
        return Standing(row.user.key, row.state, row.generation, row.not_before_generation, binding)

    def user(self, row):
        held = self.grants.get(row.key)
        grant = None if held is None else self.grant(held)
        return User(row.key, row.profile, row.created_at, row.upstream_id, row.intent(), grant)

    def note_stamp(self, row):
        deadline_at = self.clock() + self.deadline.total_seconds()
        self.log.append(
            Stamped(
                self.clock(), row.user.key, row.generation, row.claim_epoch, row.claim_owner,
                row.claim_kind, deadline_at,
            )
        )  # fmt: skip

    def note_moved(self, key, state):
        self.log.append(Moved(self.clock(), key, state))

    def note_stored(self, row, before):
        tokens = row.pair.access_token, row.pair.refresh_token
        self.log.append(Stored(self.clock(), row.user.key, row.generation, *tokens, before))


def latest(*instants):
    """Return the latest of those that are not missing, as `greatest` does."""
    return max((one for one in instants if one is not None), default=None)


def earliest(*instants):
    """Return the earliest of those that are not missing, as `least` does."""
    return min((one for one in instants if one is not None), default=None)


def next_generation(old, now):
    return max(old + 1, int(now.timestamp() * 1000))
