"""One call under way: what was received, what it drew, and what the journal will say of it.

The endpoints get nothing but this; never imports them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.calcom import errors
from sandbox.calcom.faults import Draws, FaultKind
from sandbox.calcom.gates import Gates
from sandbox.calcom.inputs import parse_body
from sandbox.calcom.journal import Entry
from sandbox.calcom.records import Client, Token
from sandbox.calcom.state import State


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers when it refuses nothing."""

    status: int
    body: dict[str, Any] | None = None
    location: str | None = None


def success(data: object, status: int = 200) -> Answer:
    """Return upstream's success envelope."""
    return Answer(status, {"status": "success", "data": data})


@dataclass(slots=True)
class Call:
    """A request with its body, its draws and its journal entry."""

    request: web.Request
    state: State
    gates: Gates
    entry: Entry
    draws: Draws
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    _parsed: dict[str, Any] | None = None

    @property
    def params(self) -> Mapping[str, str]:
        """Return the path parameters."""
        return self.request.match_info

    def header(self, name: str) -> str | None:
        """Return a request header."""
        return self.request.headers.get(name)

    def json(self) -> dict[str, Any]:
        """Return the body as Express parses it; raises Refusal when it is not JSON."""
        if self._parsed is None:
            self._parsed = parse_body(self.body, self.request.content_type)
        return self._parsed

    def has(self, kind: FaultKind) -> bool:
        """Whether the call drew this fault."""
        return kind in self.draws

    @property
    def bearer(self) -> str:
        """Return what stands in Authorization, without its scheme; may be empty."""
        return (self.header("Authorization") or "").replace("Bearer ", "", 1)

    def locate(self) -> None:
        """Note in the entry which client, user and tokens the call is about, whatever becomes of it."""
        entry, token = self.entry, None
        if self.bearer:
            entry.note_token("bearer", self.bearer)
            token = self.state.trace(self.bearer)
        if entry.route == "refresh":
            token = self._locate_refresh() or token
        user_id = self.params.get("userId", "")
        if user_id.isdecimal():
            entry.user_id = int(user_id)
        elif token is not None:
            entry.user_id = token.user_id
        if entry.client is None:
            entry.client = token.client_id if token is not None else self.header("x-cal-client-id")

    def _locate_refresh(self) -> Token | None:
        try:
            presented = self.json().get("refreshToken")
        except errors.Refusal:
            return None
        if not isinstance(presented, str):
            return None
        self.entry.note_token("presented", presented)
        return self.state.trace(presented)

    @property
    def lag_ms(self) -> float:
        """How far the read replica is behind for this call."""
        lag = self.draws.get(FaultKind.REPLICA_LAG)
        return lag.delay_s * 1000 if lag else 0.0

    def claimed_owner(self, user_id: int) -> int | None:
        """Return the owner that issued tokens state, when a fault makes it a wrong one."""
        return user_id + 1 if self.has(FaultKind.WRONG_OWNER) else None

    async def reach(self, point: str) -> None:
        """Stop at gates of this point, and at `read` for as long as a race fault lasts."""
        if self.gates:
            await self.gates.reach(self.entry.route, point, self.entry.client, self.entry.user_id)
        race = self.draws.get(FaultKind.RACE)
        if race is not None and point == "read":
            await self.gates.pause(race.delay_s)

    def check_writable(self) -> None:
        """Refuse as Prisma does when its database is in trouble."""
        if self.has(FaultKind.DATABASE_ERROR):
            raise errors.database_trouble()

    def client_of(self, client_id: str) -> Client | None:
        """Return the OAuth client of this id."""
        return self.state.clients.get(client_id)
