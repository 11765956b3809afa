"""The app's users: what the app says of them, and a create that was begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from service.broker.model.grant import Grant, GrantState, UserKey


@dataclass(frozen=True, slots=True)
class Profile:
    """What the app says of its user; names follow the interface, values are checked by the door."""

    email: str
    name: str | None = None
    time_zone: str | None = None
    time_format: int | None = None
    week_start: str | None = None
    locale: str | None = None
    avatar_url: str | None = None
    bio: str | None = None
    metadata: dict[str, str | bool | int | float] | None = None


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """The fields of a profile to be changed: exactly those in `fields`, named as in Profile."""

    fields: dict[str, object]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A pair that the app already holds, as it hands it over; its instants are hints, never trusted."""

    upstream_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_token_expires_at: datetime | None = None
    refresh_token_expires_at: datetime | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class HeldPair:
    """What is held of a user beside a pair that is to be taken over.

    `known`: the user has had that very access token here, as far as is remembered.
    """

    state: GrantState
    upstream_id: str
    issued_at: datetime
    known: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """A create that was begun: committed before upstream is asked, so a crash in between is seen.

    `attempts` counts the creates sent; `uncertain` says that one of them may have been carried out.
    """

    begun_at: datetime
    owner: str
    epoch: int
    attempts: int = 0
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """One user of the app under one client: the profile we were given and, once it exists, its grant."""

    key: UserKey
    profile: Profile
    created_at: datetime
    upstream_id: str | None = None
    intent: Intent | None = None
    grant: Grant | None = None
