"""A token as the broker hands it out, and how its answer is read. Nothing here shows a token by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeGuard

from token_broker_client.errors import BadAnswer

_USABLE = re.compile(r"[!-~]{1,8192}")
_LATEST_MS = 253_402_300_799_000
"""The last instant that a datetime can be, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of a user; `generation` grows with each one the user has had."""

    access_token: str = field(repr=False)
    expires_at: datetime
    cal_user_id: int | str
    generation: int

    @property
    def authorization(self) -> str:
        """What belongs into the header `Authorization` of a call."""
        return f"Bearer {self.access_token}"


def read_token(body: object) -> Token:
    """Return the token of an answer; BadAnswer, which never quotes it, when it is none."""
    if not isinstance(body, dict):
        raise BadAnswer
    token, ends_ms = body.get("accessToken"), body.get("accessTokenExpiresAt")
    upstream_id, generation = body.get("calUserId"), body.get("generation")
    if not (isinstance(token, str) and _USABLE.fullmatch(token)):
        raise BadAnswer
    if not (_whole(ends_ms) and 0 < ends_ms <= _LATEST_MS and _whole(generation)):
        raise BadAnswer
    if not (_whole(upstream_id) or isinstance(upstream_id, str)):
        raise BadAnswer
    return Token(token, datetime.fromtimestamp(ends_ms / 1000, UTC), upstream_id, generation)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def life_s(token: Token, headers: Mapping[str, str]) -> float:
    """Return how long the token lives at least, from when its answer was asked for.

    By the broker's own clock, as its Date says: this machine's may be off. Date has lost its fraction of a
    second, so one second is taken off.
    """
    try:
        now_s = parsedate_to_datetime(headers.get("Date", "")).timestamp() + 1
    except (ValueError, OverflowError):
        now_s = time.time()
    return token.expires_at.timestamp() - now_s
