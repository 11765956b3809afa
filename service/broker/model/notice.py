"""What the app is told of without asking, and what came of telling it. Never holds a token or a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class NoticeType(StrEnum):
    """What a notice is of, as its receiver reads it."""

    GRANT_DIED = "grant.died"
    GRANT_RECOVERED = "grant.recovered"
    REFRESH_TOKEN_ENDING = "refresh_token.ending"
    TOKEN_REUSE = "token.reuse"
    CIRCUIT_OPENED = "circuit.opened"
    CIRCUIT_CLOSED = "circuit.closed"


class NoticeOutcome(StrEnum):
    """How a notice ended: its receiver has it, was given up on, or wants none of its type."""

    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; `id` names it however often it is sent, `at` is when it happened.

    `user_id` is empty where it is about no user. `since` is when it began to wait, at first or when it was
    to be sent again; `attempts` counts from then on, and with `owner` says whose it is to send.
    """

    seq: int
    id: UUID
    at: datetime
    type: str
    client: str
    user_id: str
    facts: Mapping[str, object]
    since: datetime
    attempts: int = 0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class NotReceived:
    """The receiver has not said that it has it; `retry_after_s` when it stated one."""

    reason: str
    retry_after_s: float = 0.0


Receipt = Received | NotReceived


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many notices wait, and for how long the oldest has (seconds)."""

    waiting: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which notices are meant: those that fit everything that is given; states are outcomes, or `waiting`."""

    ids: tuple[UUID, ...] = ()
    types: tuple[str, ...] = ()
    client: str | None = None
    user_id: str | None = None
    states: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """How a notice stands: for those who look, `facts` is JSON as it is stored."""

    id: UUID
    at: datetime
    type: str
    client: str
    user_id: str
    facts: str
    state: str
    attempts: int
    last_error: str | None
    next_at: datetime
    settled_at: datetime | None
