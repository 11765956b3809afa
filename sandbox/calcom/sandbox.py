"""The sandbox as tests hold it: its app, clock, faults, gates and look-ups.

What a separate process can do over `/_sandbox` (see `control`) is a method here first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Unpack

from sandbox.calcom.config import SandboxConfig
from sandbox.calcom.faults import Fault, FaultKind, FaultOptions
from sandbox.calcom.gates import Gate
from sandbox.calcom.journal import Journal
from sandbox.calcom.outside import Outside
from sandbox.calcom.pipeline import Pipeline
from sandbox.calcom.records import Client, User
from sandbox.calcom.routes.table import ROUTES
from sandbox.calcom.state import State
from sandbox.calcom.throttle import Throttle
from sandbox.calcom.users import suffixed_email


class Sandbox(Outside):
    """A Cal.com Platform API v2 in memory; `clock` returns epoch seconds."""

    def __init__(self, config: SandboxConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead_s = 0.0
        self.config = config
        journal = Journal(config.journal_path, config.journal_memory, raw_tokens=config.journal_tokens)
        super().__init__(State(config, self.now), journal)
        self.throttle = Throttle(config.limits, self.now, on=config.throttle)
        self.pipeline = Pipeline(config.seed, self.state, self.journal, self.throttle)

    async def shut(self) -> None:
        """Let no call wait any longer, at a gate or under a fault."""
        await self.pipeline.shut()

    # Time

    def now(self) -> float:
        """Return the sandbox's clock in epoch seconds."""
        return self._clock() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward; the journal keeps wall-clock time."""
        self._ahead_s += seconds

    # Faults and gates

    def fault(self, kind: FaultKind | str, route: str = "*", **options: Unpack[FaultOptions]) -> Fault:
        """Switch a fault on for the matching calls, and return it; `Fault` explains the options.

        `count` ends it after so many calls; with `probability` each call draws, seeded by the config.
        Raises ValueError on an unknown kind, route or variant.
        """
        return self.pipeline.faults.add(Fault(FaultKind(kind), _known(route), **options))

    def clear_faults(
        self, *, fault_id: int | None = None, kind: str | None = None, route: str | None = None,
        client: str | None = None,
    ) -> int:  # fmt: skip
        """Switch off the faults that match all that is given (nothing given: all); returns how many."""
        return self.pipeline.faults.clear(fault_id=fault_id, kind=kind, route=route, client=client)

    def gate(
        self, route: str, point: str = "before", *, client: str | None = None, user: int | None = None
    ) -> Gate:
        """Hold matching calls at a point of a route; `with` opens the gate at its end.

        Raises ValueError on an unknown route or point.
        """
        return self.pipeline.gates.add(_known(route), point, client, user)

    def throttling(self, *, on: bool) -> None:
        """Switch the throttler, forgetting what it has counted."""
        self.throttle.on = on
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
        return token is not None and self.state.is_live(token)

    def is_usable(self, refresh_token: str) -> bool:
        """Whether this refresh token can still be exchanged."""
        return refresh_token in self.state.refresh

    def counts(self) -> dict[str, int]:
        """Return how many rows there are, and how many calls each route has had."""
        rows = {
            "users": sum(user.managed for user in self.state.users.values()),
            "access_tokens": len(self.state.access),
            "refresh_tokens": len(self.state.refresh),
        }
        return {**rows, **self.journal.calls}


def _known(route: str) -> str:
    if route != "*" and route not in ROUTES:
        raise ValueError(f"unknown route {route!r}; known are {', '.join(ROUTES)} and *")
    return route
