"""What happened to a user's grant, and who asked for its tokens, as it is kept for those who ask later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from service.broker.model.grant import UserKey

Fact = str | int | float | bool | Sequence[str]


class Actor(str):
    """The name of who ordered something, with the id of the request it was ordered in."""

    __slots__ = ("request_id",)

    request_id: str

    def __new__(cls, name: str, request_id: str) -> Actor:
        """Name an actor."""
        actor = super().__new__(cls, name)
        actor.request_id = request_id
        return actor


class EventKind(StrEnum):
    """What an event is of: an exchange of tokens, a change of the grant, an order, or a sign of misuse."""

    EXCHANGE = "exchange"
    CHANGE = "change"
    ACT = "act"
    SIGNAL = "signal"


class Event(NamedTuple):
    """Something that happened; never holds a token.

    `generation` is the grant's, or the one that was handed out; `presented` that of the token that was shown.
    `fingerprint` and `agent` are short keyed hashes. `count` events alike are one, from `at` to `last_at`.
    """

    at: datetime
    event: str
    generation: int | None = None
    kind: EventKind = EventKind.CHANGE
    outcome: str | None = None
    reason: str | None = None
    trigger: str | None = None
    presented: int | None = None
    actor: str | None = None
    request_id: str | None = None
    address: str | None = None
    origin: str | None = None
    agent: str | None = None
    fingerprint: str | None = None
    facts: Mapping[str, Fact] | None = None
    count: int = 1  # type: ignore[assignment]  # not the tuple's
    last_at: datetime | None = None
    id: UUID | None = None


class Recorded(NamedTuple):
    """An event with whom it is about (None: about no user), and the id that makes its row one row."""

    id: UUID | str
    key: UserKey | None
    event: Event


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of events ended."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events a page shows: at most `limit`, newest first, those before `after` in that order.

    `since` and `until` bound when it happened (the second not included); what went on after `since` counts.
    """

    limit: int = 50
    after: Place | None = None
    kind: EventKind | None = None
    since: datetime | None = None
    until: datetime | None = None
