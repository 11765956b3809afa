"""The bodies that the internal listener accepts, as models: what validates them also describes them.

Strict: no type is turned into another, no unknown field is passed over, and null is no way of leaving
a field out. Turns them into the broker's words, and does nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from service.api.fields import (
    AvatarUrl,
    Bio,
    CalUserId,
    Email,
    EpochMs,
    Locale,
    Metadata,
    Name,
    TimeFormat,
    TimeZone,
    Token,
    UserId,
    WeekStart,
    instant_of_ms,
)
from service.broker.model import Enrolment, Profile, ProfileChange

ABSENT: Any = None
"""What an optional field holds when it was left out; typed so that null itself stays refused."""


class Body(BaseModel):
    """Any body: strict, in camelCase, without unknown fields."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class Preferences(Body):
    """What an app may say of its user besides name and address."""

    time_zone: TimeZone = ABSENT
    time_format: TimeFormat = ABSENT
    """hours of a clock that are shown"""
    week_start: WeekStart = ABSENT
    """the day a week begins with"""
    locale: Locale = ABSENT
    """language"""
    avatar_url: AvatarUrl = ABSENT
    """a picture: https, a host name, no credentials"""
    bio: Bio = ABSENT
    """a few words about the user"""
    metadata: Metadata = ABSENT
    """your own flat facts: texts of 500 characters at most, numbers, booleans"""


_PROFILE = ("email", "name", *Preferences.model_fields)


def _given(body: Body) -> dict[str, Any]:
    """Return the profile fields that were sent, named as the broker names them."""
    return {name: getattr(body, name) for name in _PROFILE if name in body.model_fields_set}


class NewUser(Preferences):
    """A user to be created."""

    id: UserId
    """your own id for the user"""
    email: Email
    """kept in lower case"""
    name: Name
    """one line"""

    def profile(self) -> Profile:
        """Return the profile."""
        return Profile(**_given(self))


class PairToEnrol(Preferences):
    """A pair that the app already holds; with an `email` it also says whose it is."""

    cal_user_id: CalUserId
    access_token: Token
    """the token in force; its `ownerId` must be `calUserId`"""
    refresh_token: Token
    """the one issued with it, not yet used; from now on the broker's alone"""
    access_token_expires_at: EpochMs = ABSENT
    refresh_token_expires_at: EpochMs = ABSENT
    email: Email = ABSENT
    """needed with any other field of a profile"""
    name: Name = ABSENT
    """one line"""
    recover: Annotated[bool, WithJsonSchema({"const": False})] = False
    """left out, or false"""

    @model_validator(mode="after")
    def _names_its_user(self) -> PairToEnrol:
        if _given(self) and self.email is ABSENT:
            raise ValueError("has fields of a profile, so it needs an email as well")
        return self

    def enrolment(self) -> Enrolment:
        """Return the pair as the broker takes it."""
        access_ends, refresh_ends = self.access_token_expires_at, self.refresh_token_expires_at
        return Enrolment(
            upstream_id=str(self.cal_user_id),
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            access_token_expires_at=None if access_ends is None else instant_of_ms(access_ends),
            refresh_token_expires_at=None if refresh_ends is None else instant_of_ms(refresh_ends),
            profile=Profile(**_given(self)) if self.email is not ABSENT else None,
        )


class UserToRecover(Body):
    """A user whose tokens were lost; id and address are verified upstream."""

    cal_user_id: CalUserId
    email: Email
    """the address upstream knows the user by"""
    recover: Literal[True]
    """says that every token of the user may be replaced"""


class ProfileToChange(Preferences):
    """The fields to change; the others stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    email: Email = ABSENT
    """kept in lower case"""
    name: Name = ABSENT
    """one line"""

    @model_validator(mode="after")
    def _changes_something(self) -> ProfileToChange:
        if not _given(self):
            raise ValueError("names no field to change")
        return self

    def change(self) -> ProfileChange:
        """Return the change as the broker takes it."""
        return ProfileChange(_given(self))


class RefreshAsked(Body):
    """Why a new token is asked for: one was refused, or the pair is to be replaced now."""

    refused: Token = ABSENT
    """an access token of this user, current or older, that upstream has refused"""
    force: bool = Field(default=False, description="replace every token of the user, also those still good")

    @model_validator(mode="after")
    def _says_one_thing(self) -> RefreshAsked:
        if self.refused is not ABSENT and self.force:
            raise ValueError("has both refused and force: say one of them")
        return self


class RotationAsked(Body):
    """How an operator has a pair replaced."""

    force: bool = Field(default=False, description="without its refresh token: ends every token of the user")


class Nothing(Body):
    """No fields at all."""
