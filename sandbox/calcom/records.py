"""The rows of the sandbox's database: OAuth clients, users, access and refresh tokens.

Plain mutable records; what may be done with them is decided in `state`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.calcom.config import SandboxClient

Metadata = dict[str, str | bool | int | float]


@dataclass(slots=True)
class Client:
    """A platform OAuth client as it is now; tests change it while the sandbox runs."""

    id: str
    secret: str = field(repr=False)
    name: str
    redirect_uris: tuple[str, ...]
    permissions: int
    default_event_types: bool
    platform: bool
    organization_id: int | None
    owner_id: int | None
    user_ids: dict[int, None] = field(default_factory=dict)
    expiries: list[tuple[int, str]] = field(default_factory=list, repr=False)

    @classmethod
    def from_config(cls, given: SandboxClient, organization_id: int, owner_id: int) -> Client:
        """Return the running client of a configured one."""
        return cls(
            id=given.id,
            secret=given.secret,
            name=given.name,
            redirect_uris=given.redirect_uris,
            permissions=given.permissions,
            default_event_types=given.default_event_types,
            platform=given.platform,
            organization_id=organization_id if given.organization else None,
            owner_id=owner_id if given.owner else None,
        )


@dataclass(slots=True)
class User:
    """A user row. `client_id` is None until it is connected to its OAuth client."""

    id: int
    email: str
    username: str
    created_ms: int
    managed: bool = True
    client_id: str | None = None
    organization_id: int | None = None
    name: str | None = None
    bio: str | None = None
    time_zone: str = "Europe/London"
    week_start: str = "Sunday"
    time_format: int | None = 12
    default_schedule_id: int | None = None
    locale: str | None = "en"
    avatar_url: str | None = None
    metadata: Metadata | None = None
    event_types: int = 0
    schedules: int = 0
    access_tokens: set[str] = field(default_factory=set, repr=False)
    refresh_tokens: set[str] = field(default_factory=set, repr=False)

    def apply(self, changes: dict[str, Any]) -> None:
        """Set the given columns."""
        for column, value in changes.items():
            setattr(self, column, value)


@dataclass(slots=True)
class Token:
    """An access or refresh token row; `cached` once Redis would answer for it."""

    secret: str = field(repr=False)
    client_id: str
    user_id: int
    created_ms: int
    expires_ms: int
    deleted_ms: int | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """An access and a refresh token issued together, with what the transaction removed."""

    access: Token
    refresh: Token
    purged: int = 0
    revoked_access: tuple[str, ...] = ()
    revoked_refresh: tuple[str, ...] = ()
