"""What the doors ask of the broker, as protocols: the broker's own classes fit them, tests write small ones.

Imports the broker's words only; how a use case does its work is none of a door's business.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Protocol

from service.broker.answers import Admit
from service.broker.behind import Given
from service.broker.model import (
    CurrentToken,
    Enrolment,
    Event,
    EventQuery,
    Fingerprint,
    Profile,
    ProfileChange,
    User,
    UserKey,
)
from service.broker.overview import Sight
from service.broker.ports import CacheHit, Found, UserQuery
from service.broker.ports.overview import Happened, Troubled, TroubleQuery

Look = Fingerprint | UserKey


class Answers(Protocol):
    """Hands out access tokens that work."""

    async def for_browser(
        self, access_token: str, admit: Admit | None = None, *, address: Hashable | None = None
    ) -> CurrentToken:
        """Return the current token of whoever holds this one; TokenUnknown when it identifies nobody.

        `admit` is asked about who was identified, and raises when that user's token may not be given.
        `address` is where the caller is, as it is counted.
        """

    async def for_service(self, key: UserKey, *, min_ttl_s: float | None, vouch: bool) -> CurrentToken:
        """Return the user's token with at least `min_ttl_s` seconds of life."""

    async def complain(self, key: UserKey, refused: str, *, actor: str) -> CurrentToken:
        """Return a token that works in place of the one that upstream refused."""

    async def rotate(self, key: UserKey, *, force: bool, actor: str) -> CurrentToken:
        """Replace the user's pair now (`force`: without its refresh token) and return what is current."""


class AtHand(Protocol):
    """Hands out at once what a cache holds; None is always: ask `Answers`."""

    def fingerprint(self, access_token: str) -> Fingerprint | None:
        """Return what a presented token is looked for by."""

    def near(self, look: Look) -> CacheHit | None:
        """Return what this process remembers."""

    def ask(self, look: Look, found: Found) -> None:
        """Ask the cache; `found` is called with what it holds."""

    def follow(self, look: Look, found: Found) -> bool:
        """Have `found` called with what came of another who asks `Answers` for the same, if anybody does."""

    def clock(self) -> datetime:
        """Return now, as the broker counts it."""

    def for_browser(self, hit: CacheHit, now: datetime) -> CurrentToken | None:
        """Return the token in force in place of the one presented."""

    def for_service(self, hit: CacheHit, now: datetime, *, vouch: bool) -> CurrentToken | None:
        """Return the token of a user."""

    def note(self, given: Given) -> None:
        """Note what was handed out."""


class Users(Protocol):
    """Looks after the app's users and their grants."""

    async def create(self, key: UserKey, profile: Profile, *, vouch: bool, actor: str) -> tuple[User, bool]:
        """Return the user, and whether this call created it."""

    async def enrol(
        self, key: UserKey, enrolment: Enrolment, *, replace: bool, vouch: bool, actor: str
    ) -> User:
        """Keep a pair that the app already holds; onto a live grant only with `replace`."""

    async def recover(self, key: UserKey, upstream_id: str, email: str, *, vouch: bool, actor: str) -> User:
        """Take over a user whose tokens were lost, once upstream confirms its id and e-mail address."""

    async def page(self, query: UserQuery) -> list[User]:
        """Return one page of users in the order of their ids."""

    async def read(self, key: UserKey) -> User:
        """Return the user; UserUnknown when there is none."""

    async def change(self, key: UserKey, change: ProfileChange, *, actor: str) -> User:
        """Change the profile upstream and here."""

    async def delete(self, key: UserKey, *, actor: str) -> None:
        """Delete the user upstream and here, with every token and fingerprint."""

    async def revoke(self, key: UserKey, *, actor: str) -> User:
        """Make every token handed out so far stop counting, and have upstream kill it."""

    async def pause(self, key: UserKey, *, actor: str) -> User:
        """Stop all work on the user."""

    async def resume(self, key: UserKey, *, actor: str) -> User:
        """Take work on the user up again."""

    async def events(self, key: UserKey, query: EventQuery) -> list[Event]:
        """Return what happened to the user, newest first."""


class Overviews(Protocol):
    """Shows operators how everything stands."""

    async def look(self, client: str) -> Sight:
        """Return how a client stands."""

    async def history(self, client: str, span: timedelta, step: timedelta) -> list[Happened]:
        """Return what happened in the last `span`, in steps."""

    async def troubled(self, query: TroubleQuery) -> list[Troubled]:
        """Return a page of users who need attention, the worst first."""


class Readiness(Protocol):
    """Knows whether this process should be given requests."""

    draining: bool
    """Whether the process is about to end: it answers what comes, and asks to be sent nothing more."""

    @property
    def behind(self) -> bool:
        """Whether the schema lacks what this release needs: requests belong to replicas of an older one."""

    @property
    def begun(self) -> bool:
        """Whether the database, with what this release needs, was ever seen."""

    async def dependencies(self) -> dict[str, str]:
        """Return each dependency with its state, "up" when all is well."""
