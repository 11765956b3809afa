"""What a sandbox is started with: its OAuth clients, lifetimes, limits and journal.

Values only; never imports the state or the doors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from pathlib import Path

YEAR_S = 365 * 86_400.0


class Permission(IntFlag):
    """The bits of an OAuth client's permissions, as upstream numbers them."""

    EVENT_TYPE_READ = 1
    EVENT_TYPE_WRITE = 2
    BOOKING_READ = 4
    BOOKING_WRITE = 8
    SCHEDULE_READ = 16
    SCHEDULE_WRITE = 32
    APPS_READ = 64
    APPS_WRITE = 128
    PROFILE_READ = 256
    PROFILE_WRITE = 512


ALL_PERMISSIONS = 1023


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """One platform OAuth client of the sandbox; ids are isolated from each other.

    `redirect_uris` are the origins browsers may call from, exact or with `*`. `permissions` is the bit
    mask of `Permission`. Without `platform` the organization has lost its platform plan; without
    `organization` the client belongs to none; without `owner` nobody can be acted for.
    """

    id: str
    secret: str = field(repr=False)
    name: str = "Sandbox client"
    redirect_uris: tuple[str, ...] = ("*",)
    permissions: int = ALL_PERMISSIONS
    default_event_types: bool = True
    platform: bool = True
    organization: bool = True
    owner: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls a window for each throttle bucket; a bucket that overflows is blocked for `block_s`."""

    access_token: int = 500
    client: int = 500
    address: int = 120
    window_s: float = 60.0
    block_s: float = 60.0


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Everything a sandbox is started with.

    `lifetime_s` is an access token's life; its expiry is floored to a sixtieth of it (a minute at an
    hour). A refresh token's is floored to a 365th of `refresh_lifetime_s`. With `redis_warm` a token
    that was accepted once and then deleted is refused with upstream's other 401 message. With
    `journal_tokens` the journal also holds raw tokens: only for the checker's secrecy scan.
    """

    clients: tuple[SandboxClient, ...]
    lifetime_s: float = 3600.0
    refresh_lifetime_s: float = YEAR_S
    journal_path: str | Path | None = None
    journal_memory: int = 100_000
    journal_tokens: bool = False
    seed: int = 0
    throttle: bool = True
    limits: Limits = Limits()
    redis_warm: bool = False
