"""Builders for the broker's words: each gives a plausible value, and a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service.broker.model import (
    Binding,
    Claim,
    ClaimKind,
    Grant,
    GrantState,
    LineageEntry,
    Marks,
    MintedPair,
    Profile,
    Stated,
    TokenPair,
    Trigger,
)
from service.broker.ports import NewGrant, Settlement, Use
from tests.support.cached import ANNA

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
MARGIN = 10 * MINUTE
DAY = timedelta(days=1)


def a_pair(name="first", *, issued_at=NOON, lifetime=HOUR, **changes):
    """A pair whose tokens hold its name, without jitter: 60 minutes from noon, STALE at 12:50."""
    expires_at = issued_at + lifetime
    pair = TokenPair(
        access_token=f"{name}.access-token.of-a-user",
        refresh_token=f"{name}.refresh-token.of-a-user",
        issued_at=issued_at,
        expires_at=expires_at,
        refresh_at=expires_at - min(MARGIN, lifetime / 2),
    )
    return replace(pair, **changes)


def a_grant(*, key=ANNA, pair=None, marks=None, **changes):
    """A LIVE grant, generation 7, that nobody was given yet; `marks` are the names of Marks' fields."""
    grant = Grant(
        key=key,
        upstream_id=f"up-{key.user_id}",
        state=GrantState.LIVE,
        reason="grant.created",
        generation=7,
        pair=pair or a_pair(),
        binding=Binding(vouched_at=NOON),
        marks=Marks(**(marks or {})),
    )
    return replace(grant, **changes)


def a_current(**changes):
    """What the doors may hand out of such a grant."""
    return a_grant().current()._replace(**changes)


def a_claim(*, claimed_at=NOON, deadline=20 * SECOND, **changes):
    """A claim on generation 7 by this process, to present the refresh token."""
    claim = Claim(
        key=ANNA,
        generation=7,
        epoch=1,
        kind=ClaimKind.REFRESH,
        owner="this-process",
        claimed_at=claimed_at,
        deadline_at=claimed_at + deadline,
    )
    return replace(claim, **changes)


def an_entry(generation=7, *, key=ANNA, counts_until=NOON + 25 * HOUR):
    """What the lineage holds of an access token: by default of the current one."""
    return LineageEntry(key, generation, counts_until)


def a_minted(name="next", **stated):
    """A pair as upstream issued it, stating `issued_at`, `ends_at`, `refresh_token_ends_at` if given."""
    return MintedPair(f"{name}.access-token.of-a-user", f"{name}.refresh-token.of-a-user", Stated(**stated))


def a_profile(name="anna", **changes):
    """What the app says of a user."""
    return replace(Profile(email=f"{name}@app.test", name=name.title()), **changes)


def a_new_grant(name="first", *, key=ANNA, **changes):
    """A user's first pair, to be linked; due at its keep-alive date like any that nobody was given."""
    pair = changes.pop("pair", None) or a_pair(name)
    grant = NewGrant(
        key=key,
        upstream_id=f"up-{key.user_id}",
        pair=pair,
        counts_until=pair.expires_at + DAY,
        due_at=pair.issued_at + 300 * DAY,
        event="grant.created",
        actor="a-test",
    )
    return replace(grant, **changes)


def a_settlement(claim, name="next", **changes):
    """A new pair to be committed over a claim, issued at one o'clock, that somebody waits for."""
    pair = changes.pop("pair", None) or a_pair(name, issued_at=NOON + HOUR)
    settlement = Settlement(
        claim=claim,
        pair=pair,
        used=True,
        counts_until=pair.expires_at + DAY,
        due_at=pair.refresh_at,
        trigger=Trigger.REQUEST,
    )
    return replace(settlement, **changes)


def a_use(grant, *, at=NOON, by_browser=False, **changes):
    """Somebody was given the grant's current token."""
    return Use(grant.key, grant.generation, at, by_browser)._replace(**changes)
