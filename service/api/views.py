"""What the listeners answer, as models: the description is generated from them, and so are the answers.

Turns the broker's words into the caller's. A refresh token has no field here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.broker.model import CurrentToken, Event, EventKind, Grant, GrantState, User

UpstreamId = Annotated[int | str, Field(description="the user's id upstream: a number at Cal.com")]

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class View(BaseModel):
    """Any answer: camelCase; instants are RFC 3339 unless a field says otherwise."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )


class Health(View):
    """The process lives."""

    status: Literal["ok"]


class ReadyView(View):
    """Whether to send requests here, and how each dependency is."""

    status: Literal["ready", "degraded", "starting", "schema_behind", "draining"]
    """the first two with 200, the others with 503"""
    dependencies: dict[str, str]
    """`up` or `down`, by name; `all` alone is `unknown` when looking took too long"""


class FreshToken(View):
    """A token that works."""

    access_token: str = Field(repr=False)
    """the token in force"""
    access_token_expires_at: int = Field(description="milliseconds since the epoch")


class ServiceToken(FreshToken):
    """A token that works, whose it is, and its generation (strictly increasing)."""

    cal_user_id: UpstreamId
    generation: int
    """the pair's number: every later pair of the user has a higher one"""


class PairState(View):
    """Where a user's pair of tokens stands; never a token."""

    generation: int
    """the pair's number: every later pair of the user has a higher one"""
    issued_at: datetime
    """when upstream was asked for it"""
    expires_at: datetime
    """when the access token ends"""
    refresh_at: datetime = Field(description="from when on it is replaced when somebody uses it")
    last_used_at: datetime | None = Field(description="when it was last given to somebody, as far as noted")
    last_error: str | None
    """why it could not be replaced the last time that failed"""
    last_error_at: datetime | None
    """when that was"""
    refused: bool = Field(description="upstream refused this token, and it is not given out any more")
    distrusted: bool = Field(description="every answer is confirmed upstream first")


class UserView(View):
    """A user and the state of its pair."""

    client: str
    """name of the OAuth client"""
    id: str
    """the app's own user id"""
    cal_user_id: UpstreamId | None
    """the user's id upstream; null while the user is being created"""
    email: str
    """the profile's, as the fields down to `metadata` are; null is what was never said here"""
    name: str | None
    time_zone: str | None
    time_format: int | None
    week_start: str | None
    locale: str | None
    avatar_url: str | None
    bio: str | None
    metadata: dict[str, str | bool | int | float] | None
    created_at: datetime
    """when the user was created or enrolled here"""
    state: GrantState | None = Field(description="null while the user is being created")
    reason: str | None
    """why the grant is in that state"""
    pair: PairState | None
    """null while the user is being created"""


class UsersPage(View):
    """A page of users in the order of their ids."""

    users: list[UserView]
    """in the order of their ids"""
    cursor: str | None = Field(description="the cursor of the next page, null on the last one")


class EventView(View):
    """Something that happened to a grant, or was asked about it; never a token."""

    at: datetime
    """when, or when the first of several was"""
    kind: EventKind
    """an exchange of tokens, a change of the grant, an order (act), or a sign of misuse (signal)"""
    event: str
    """its name"""
    outcome: str | None = Field(description="ok, or the code of the answer")
    reason: str | None
    """more of why"""
    trigger: str | None
    """why a pair was being replaced: request, ahead, keepalive, forced, recovery"""
    generation: int | None = Field(description="the grant's, or the one handed out")
    presented: int | None = Field(description="the generation of the token that was presented")
    actor: str | None = Field(description="the caller of the internal listener who asked or ordered")
    request_id: str | None = Field(description="of the first, where several are counted")
    address: str | None
    """the caller's address"""
    origin: str | None
    """the page's origin"""
    agent: str | None = Field(description="a keyed hash of the user agent")
    fingerprint: str | None = Field(description="the first 8 digits of the presented token's keyed hash")
    facts: dict[str, str | int | float | bool | list[str]] | None
    """what else belongs to an event of this name"""
    count: int = Field(description="how many alike are counted here")
    last_at: datetime | None = Field(description="when the last of several was")


class EventsView(View):
    """A page of what happened to a user, newest first."""

    events: list[EventView]
    """the newest first"""
    cursor: str | None = Field(description="the cursor of the next page, null on the last one")


def fresh_token(current: CurrentToken) -> bytes:
    """Return a FreshToken as it is sent; written without the model, which costs as much as the rest."""
    return orjson.dumps(
        {"accessToken": current.access_token, "accessTokenExpiresAt": _milliseconds(current.expires_at)}
    )


def service_token(current: CurrentToken) -> bytes:
    """Return a ServiceToken as it is sent."""
    return orjson.dumps(
        {
            "accessToken": current.access_token,
            "accessTokenExpiresAt": _milliseconds(current.expires_at),
            "calUserId": upstream_id(current.upstream_id),
            "generation": current.generation,
        }
    )


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def upstream_id(value: str) -> int | str:
    """Return an id upstream as it is there: a number where it is one."""
    return int(value) if value.isascii() and value.isdecimal() else value


def user_view(user: User) -> UserView:
    """Return the user as it is shown."""
    profile, grant = user.profile, user.grant
    return UserView(
        client=user.key.client,
        id=user.key.user_id,
        cal_user_id=None if user.upstream_id is None else upstream_id(user.upstream_id),
        email=profile.email,
        name=profile.name,
        time_zone=profile.time_zone,
        time_format=profile.time_format,
        week_start=profile.week_start,
        locale=profile.locale,
        avatar_url=profile.avatar_url,
        bio=profile.bio,
        metadata=profile.metadata,
        created_at=user.created_at,
        state=grant and grant.state,
        reason=grant and grant.reason,
        pair=grant and _pair_state(grant),
    )


def _pair_state(grant: Grant) -> PairState:
    uses = [instant for instant in (grant.first_used_at, grant.binding.refreshed_at) if instant is not None]
    return PairState(
        generation=grant.generation,
        issued_at=grant.pair.issued_at,
        expires_at=grant.pair.expires_at,
        refresh_at=grant.pair.refresh_at,
        last_used_at=max(uses, default=None),
        last_error=grant.last_error,
        last_error_at=grant.last_error_at,
        refused=grant.marks.refused,
        distrusted=grant.marks.distrusted,
    )


def users_page(users: Sequence[User], limit: int) -> UsersPage:
    """Return the page of at most `limit`; what was found beyond it says that there is a next one."""
    shown = users[:limit]
    cursor = shown[-1].key.user_id if len(users) > limit else None
    return UsersPage(users=[user_view(user) for user in shown], cursor=cursor)


def events_view(events: Sequence[Event], limit: int) -> EventsView:
    """Return the page of at most `limit`; what was found beyond it says that there is a next one."""
    shown = [_event_view(event) for event in events[:limit]]
    return EventsView(events=shown, cursor=cursor_at(events[limit - 1]) if len(events) > limit else None)


def cursor_at(event: Event) -> str | None:
    """Return the place of an event as a cursor: microseconds since the epoch, and its id."""
    return None if event.id is None else f"{(event.at - _EPOCH) // _MICROSECOND}-{event.id.hex}"


def _event_view(event: Event) -> EventView:
    facts = event.facts and {
        name: list(fact) if isinstance(fact, list | tuple) else fact for name, fact in event.facts.items()
    }
    values = {name: getattr(event, name) for name in EventView.model_fields}
    return EventView(**{**values, "facts": facts})
