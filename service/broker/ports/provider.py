"""One OAuth client's upstream. Answers are values; nothing is raised for what upstream says or does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from service.broker.model import (
    ChangeOutcome,
    CheckOutcome,
    CreateOutcome,
    LookupOutcome,
    Profile,
    ProfileChange,
    RotationOutcome,
    Stated,
)

MaySend = Callable[[], bool]
"""Asked when the first byte is about to leave: the process may have been stopped since it decided to call."""


class Provider(Protocol):
    """One OAuth client's upstream. Answers are values; no method raises for what upstream says or does."""

    recovers: bool
    """Whether `recover` exists upstream: a pair can be had without the old refresh token."""

    async def refresh(self, refresh_token: str, *, may_send: MaySend | None = None) -> RotationOutcome:
        """Present the one-time refresh token; HELD_BACK, and nothing sent, when `may_send` says no."""

    async def recover(self, upstream_id: str, *, may_send: MaySend | None = None) -> RotationOutcome:
        """Have every token of the user replaced, without the refresh token (a force-refresh)."""

    async def check(self, access_token: str) -> CheckOutcome:
        """Ask upstream whether it accepts this very access token."""

    async def probe(self) -> CheckOutcome:
        """Ask upstream whether it accepts the client's credentials."""

    def describe(self, access_token: str) -> Stated:
        """Read what an access token says of itself; nothing of it is verified."""

    async def create_user(self, profile: Profile) -> CreateOutcome:
        """Create a user; its first pair comes with the answer."""

    async def find_users(self, email: str) -> LookupOutcome:
        """Find this client's users by the app's form of their e-mail address."""

    async def read_user(self, upstream_id: str) -> LookupOutcome:
        """Look one user up; Denied(USER_GONE) when it is not this client's."""

    async def change_user(self, upstream_id: str, change: ProfileChange) -> ChangeOutcome:
        """Change fields of the user's profile."""

    async def delete_user(self, upstream_id: str) -> ChangeOutcome:
        """Delete the user and every token of it; Denied(USER_GONE) when there is none."""
