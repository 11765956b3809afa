"""The sandbox as tests hold it: its app, switches, look-ups and changes from outside.

Everything a separate process can do over `/_sandbox` (see `control`) is a method here first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from sandbox.calcom.config import SandboxClient, SandboxConfig
from sandbox.calcom.control import Control
from sandbox.calcom.faults import Fault, FaultKind
from sandbox.calcom.gates import Gate
from sandbox.calcom.journal import Entry, Journal
from sandbox.calcom.pipeline import Pipeline
from sandbox.calcom.records import Client, Metadata, Pair, Token, User
from sandbox.calcom.routes.table import add_routes
from sandbox.calcom.state import State
from sandbox.calcom.throttle import Throttle
from sandbox.calcom.users import suffixed_email, username_of

__all__ = ["Metadata", "Sandbox", "SandboxClient"]

MAX_BODY = 10 * 1024 * 1024


class Sandbox:
    """A Cal.com Platform API v2 in memory; `clock` returns epoch seconds."""

    def __init__(self, config: SandboxConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead_s = 0.0
        self.config = config
        self.state = State(config, self.now)
        self.journal = Journal(config.journal_path, config.journal_memory, raw_tokens=config.journal_tokens)
        self.throttle = Throttle(config.limits, self.now)
        self.pipeline = Pipeline(config, self.state, self.journal, self.throttle)

    def app(self) -> web.Application:
        """Return a new aiohttp application that serves this sandbox; its clean-up shuts the sandbox."""
        app = web.Application(client_max_size=MAX_BODY)
        Control(self).add_routes(app)
        add_routes(app, self.pipeline)
        app.on_shutdown.append(self._on_shutdown)
        app.on_cleanup.append(self._on_cleanup)
        return app

    async def _on_shutdown(self, _: web.Application) -> None:
        await self.pipeline.shut()

    async def _on_cleanup(self, _: web.Application) -> None:
        self.journal.shut()

    # Time

    def now(self) -> float:
        """Return the sandbox's clock in epoch seconds."""
        return self._clock() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward; the journal keeps wall-clock time."""
        self._ahead_s += seconds

    # Faults and gates

    def fault(
        self,
        kind: FaultKind | str,
        route: str = "*",
        *,
        client: str | None = None,
        user: int | None = None,
        count: int | None = None,
        probability: float = 1.0,
        **details: object,
    ) -> Fault:
        """Switch a fault on for the matching calls, and return it; `Fault` explains the details.

        `count` ends it after so many calls; with `probability` each call draws, seeded by the config.
        """
        given = Fault(FaultKind(kind), route, client, user, count, probability)
        return self.pipeline.faults.add(replace(given, **details) if details else given)  # type: ignore[arg-type]

    def clear_faults(
        self, *, fault_id: int | None = None, kind: str | None = None, route: str | None = None,
        client: str | None = None,
    ) -> int:  # fmt: skip
        """Switch off the faults that match all that is given (nothing given: all); returns how many."""
        return self.pipeline.faults.clear(fault_id=fault_id, kind=kind, route=route, client=client)

    def gate(
        self, route: str, point: str = "before", *, client: str | None = None, user: int | None = None
    ) -> Gate:
        """Hold matching calls at a point of a route; `with` opens the gate at its end."""
        return self.pipeline.gates.add(route, point, client, user)

    def throttling(self, *, on: bool) -> None:
        """Switch the throttler, forgetting what it has counted."""
        self.pipeline.throttling = on
        self.throttle.reset()

    # Look-ups

    def client(self, client_id: str) -> Client:
        """Return an OAuth client; KeyError when there is none."""
        return self.state.clients[client_id]

    def user(self, user_id: int) -> User | None:
        """Return a user row."""
        return self.state.users.get(user_id)

    def users(self, client_id: str) -> list[User]:
        """Return the client's managed users, oldest first."""
        return [self.state.users[user_id] for user_id in self.client(client_id).user_ids]

    def find_user(self, client_id: str, email: str) -> User | None:
        """Return the user of this original or suffixed e-mail, connected to the client or not."""
        user_id = self.state.emails.get(suffixed_email(client_id, email.lower()))
        return None if user_id is None else self.state.users[user_id]

    def is_live(self, access_token: str) -> bool:
        """Whether upstream accepts this access token now."""
        token = self.state.access.get(access_token)
        return token is not None and self.state.now_ms() <= token.expires_ms

    def is_usable(self, refresh_token: str) -> bool:
        """Whether this refresh token can still be exchanged."""
        return refresh_token in self.state.refresh

    def counts(self) -> dict[str, int]:
        """Return how many rows there are, and how many calls each route has had."""
        counted = {
            "users": sum(user.managed for user in self.state.users.values()),
            "access_tokens": len(self.state.access),
            "refresh_tokens": len(self.state.refresh),
        }
        for entry in self.journal:
            counted[entry.route] = counted.get(entry.route, 0) + 1
        return counted

    # Changes from outside

    def create_user(self, client_id: str, email: str, name: str = "Seeded user") -> tuple[User, Pair]:
        """Create a managed user with its first pair, without a call; raises UniqueViolation."""
        stored = suffixed_email(client_id, email.lower())
        user = self.state.insert_user(stored, username_of(stored))
        user.name = name
        self.state.connect(user, self.client(client_id))
        pair = self.state.issue(self.client(client_id), user)
        entry = self._outside("create_user", client_id, user.id)
        entry.note_pair(pair)
        self.journal.close(entry)
        return user, pair

    def purge(self, client_id: str) -> int:
        """Delete the client's expired access tokens now; returns how many."""
        entry = self._outside("purge", client_id)
        entry.purged = self.state.purge(self.client(client_id))
        self._written(entry)
        return entry.purged

    def expire(self, user_id: int) -> int:
        """Let all access tokens of a user end now, rows kept (498 until purged); returns how many."""
        tokens = [self.state.access[secret] for secret in self.state.users[user_id].access_tokens]
        for token in tokens:
            self.state.expire(token)
        entry = self._outside("expire", self.state.users[user_id].client_id, user_id)
        entry.note_revoked(tuple(token.secret for token in tokens))
        self._written(entry)
        return len(tokens)

    def kill(self, access_token: str) -> bool:
        """Delete one access token, as if revoked on the vendor's side; False when there is none."""
        token = self.state.access.get(access_token)
        if token is not None:
            self.state.delete_access(access_token)
            self._note_killed(token)
        return token is not None

    def kill_refresh(self, refresh_token: str) -> bool:
        """Delete one refresh token without issuing another; False when there is none."""
        token = self.state.refresh.get(refresh_token)
        if token is not None:
            self.state.delete_refresh(refresh_token)
            self._note_killed(token)
        return token is not None

    def delete_user(self, user_id: int) -> None:
        """Delete a user and every token of it, without a call."""
        user = self.state.users[user_id]
        entry = self._outside("delete_user", user.client_id, user_id)
        entry.note_revoked(*self.state.delete_user(user))
        self._written(entry)

    def change_client(self, client_id: str, **changes: object) -> Client:
        """Change fields of an OAuth client (`secret`, `platform`, `redirect_uris`, ...) from now on."""
        client = self.client(client_id)
        for name, value in changes.items():
            if name not in CHANGEABLE:
                raise ValueError(f"an OAuth client has no field {name!r}; known are {', '.join(CHANGEABLE)}")
            setattr(client, name, tuple(value) if isinstance(value, list) else value)
        self._written(self._outside("change_client", client_id))
        return client

    def rotate_secret(self, client_id: str, secret: str) -> None:
        """Give the client a new secret; the old one is refused from now on."""
        self.change_client(client_id, secret=secret)

    def _note_killed(self, token: Token) -> None:
        entry = self._outside("kill", token.client_id, token.user_id)
        entry.note_revoked((token.secret,))
        self._written(entry)

    def _outside(self, what: str, client_id: str | None, user_id: int | None = None) -> Entry:
        entry = self.journal.open(f"sandbox.{what}", "", "")
        entry.client, entry.user_id = client_id, user_id
        return entry

    def _written(self, entry: Entry) -> None:
        entry.note_commit()
        self.journal.close(entry)


CHANGEABLE = (
    "secret", "name", "redirect_uris", "permissions", "default_event_types", "platform", "organization_id",
    "owner_id",
)  # fmt: skip
