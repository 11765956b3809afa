"""Turns rows into grants and users, and back: the one place that opens and seals tokens for storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

import asyncpg
import orjson

from service.broker.errors import Invalid
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

GRANT_COLUMNS = """
    g.client, g.user_id, g.upstream_id, g.state, g.reason, g.generation, g.access_sealed, g.refresh_sealed,
    g.issued_at, g.expires_at, g.refresh_at, g.refresh_token_expires_at, g.first_used_at, g.claim_owner,
    g.claim_epoch, g.claim_kind, g.claimed_at, g.refused, g.distrusted_until, g.refresh_token_dead,
    g.force_pending, g.not_before_generation, g.failures, g.retry_at, g.last_error, g.last_error_at,
    u.vouched_at, u.refreshed_at
"""

USER_COLUMNS = """
    u.client AS user_client, u.user_id AS user_user_id, u.upstream_id AS user_upstream_id, u.email, u.profile,
    u.created_at, u.intent_owner, u.intent_epoch, u.intent_begun_at, u.intent_at, u.intent_attempts,
    u.intent_uncertain
"""

Row = asyncpg.Record


class Seals(Protocol):
    """Seals and opens values bound to their place."""

    def seal(self, plaintext: str, *, client: str, user_id: str, generation: int, column: str) -> bytes:
        """Return the sealed value."""

    def open(self, sealed: bytes, *, client: str, user_id: str, generation: int, column: str) -> str:
        """Return the value; raises SealBroken."""


class Rows:
    """Reads and writes token columns under the key ring."""

    def __init__(self, seals: Seals, claim_deadline: timedelta, key_id_of: Callable[[bytes], str]) -> None:
        self._seals = seals
        self.key_id_of = key_id_of
        self._claim_deadline = claim_deadline

    def sealed(self, key: UserKey, generation: int, pair: TokenPair) -> tuple[bytes, bytes]:
        """Return the sealed access and refresh token of a pair."""
        access = self._seals.seal(
            pair.access_token,
            client=key.client,
            user_id=key.user_id,
            generation=generation,
            column="access",
        )
        refresh = self._seals.seal(
            pair.refresh_token,
            client=key.client,
            user_id=key.user_id,
            generation=generation,
            column="refresh",
        )
        return access, refresh

    def grant(self, row: Row, *, with_tokens: bool = True, pair: TokenPair | None = None) -> Grant:
        """Return the grant of a row; raises SealBroken when a token cannot be opened.

        With the `pair` that was stored in it just now nothing is opened.
        """
        key = UserKey(row["client"], row["user_id"])
        return Grant(
            key=key,
            upstream_id=row["upstream_id"],
            state=GrantState(row["state"]),
            reason=row["reason"],
            generation=row["generation"],
            pair=pair or self._pair(row, key, with_tokens=with_tokens),
            binding=Binding(row["vouched_at"], row["refreshed_at"]),
            marks=Marks(
                row["refused"], row["distrusted_until"], row["refresh_token_dead"], row["force_pending"]
            ),
            claim=self.claim(row),
            first_used_at=row["first_used_at"],
            not_before_generation=row["not_before_generation"],
            failures=row["failures"],
            retry_at=row["retry_at"],
            last_error=row["last_error"],
            last_error_at=row["last_error_at"],
        )

    def claim(self, row: Row) -> Claim | None:
        """Return the claim that stands in a row."""
        claimed_at: datetime | None = row["claimed_at"]
        if row["claim_owner"] is None or claimed_at is None:
            return None
        return Claim(
            key=UserKey(row["client"], row["user_id"]),
            generation=row["generation"],
            epoch=row["claim_epoch"],
            kind=ClaimKind(row["claim_kind"]),
            owner=row["claim_owner"],
            claimed_at=claimed_at,
            deadline_at=claimed_at + self._claim_deadline,
        )

    def user(self, row: Row, *, with_tokens: bool = True) -> User:
        """Return the user of a row of users left-joined with grants."""
        key = UserKey(row["user_client"], row["user_user_id"])
        grant = None if row["generation"] is None else self.grant(row, with_tokens=with_tokens)
        return User(
            key=key,
            profile=profile_of(row["profile"], row["email"]),
            created_at=row["created_at"],
            upstream_id=row["user_upstream_id"],
            intent=_intent(row),
            grant=grant,
        )

    def _pair(self, row: Row, key: UserKey, *, with_tokens: bool) -> TokenPair:
        access = refresh = ""
        if with_tokens:
            bound: dict[str, Any] = {
                "client": key.client,
                "user_id": key.user_id,
                "generation": row["generation"],
            }
            access = self._seals.open(row["access_sealed"], column="access", **bound)
            refresh = self._seals.open(row["refresh_sealed"], column="refresh", **bound)
        return TokenPair(
            access_token=access,
            refresh_token=refresh,
            issued_at=row["issued_at"],
            expires_at=row["expires_at"],
            refresh_at=row["refresh_at"],
            refresh_token_expires_at=row["refresh_token_expires_at"],
        )


def standing(row: Row) -> Standing:
    """Return where a grant stands, from a row without its tokens."""
    return Standing(
        key=UserKey(row["client"], row["user_id"]),
        state=GrantState(row["state"]),
        generation=row["generation"],
        not_before_generation=row["not_before_generation"],
        binding=Binding(row["vouched_at"], row["refreshed_at"]),
    )


def profile_of(stored: str, email: str | None) -> Profile:
    """Return a profile as it was stored."""
    return Profile(**{**orjson.loads(stored), "email": email or ""})


def stored(profile: Profile) -> str:
    """Return a profile as JSON, without the e-mail; raises Invalid for what JSON cannot hold."""
    fields = {name: value for name, value in asdict(profile).items() if value is not None}
    fields.pop("email")
    try:
        return orjson.dumps(fields).decode()
    except TypeError:
        raise Invalid("A value in the request cannot be stored.") from None


def _intent(row: Row) -> Intent | None:
    if row["intent_begun_at"] is None:
        return None
    return Intent(
        begun_at=row["intent_begun_at"],
        owner=row["intent_owner"] or "",
        epoch=row["intent_epoch"],
        attempts=row["intent_attempts"],
        uncertain=row["intent_uncertain"],
    )
