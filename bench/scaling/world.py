"""What a simulated day acts on: time that goes from event to event, and the grants, with what is due of them.

Where a new pair stands in time, and when a grant is due, are the product's own decisions.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from bench.scaling.activity import Visit
from service.broker.expiry import place_minted
from service.broker.model import Binding, Grant, GrantState, MintedPair, Stated, TokenPair, UserKey
from service.broker.policy import Terms, due_at

MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
_SHORTEST_IDLE, _LONGEST_IDLE = timedelta(days=1), timedelta(days=250)
_REFRESH_TOKENS_LIVE = timedelta(days=365)


@dataclass(slots=True)
class Request:
    """Somebody asks: since when, how often in all, and with which generation in hand."""

    visit: Visit
    asked_s: float
    holds: int | None = None
    tries: int = 1


@dataclass(slots=True)
class Held:
    """What the broker holds of a user, and who waits while it is being replaced."""

    user: int
    grant: Grant
    due: datetime | None = None
    waiting: list[Request] | None = None


class World:
    """Time and grants. Instants are seconds from midnight where their name ends so."""

    def __init__(self, begins_s: float, ends_s: float, terms: Terms, roll: random.Random) -> None:
        self.now_s = begins_s
        self._ends_s = ends_s
        self._ends_at = MIDNIGHT + timedelta(seconds=ends_s)
        self._terms = terms
        self._roll = roll
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._due: list[tuple[datetime, int, Held]] = []
        self._held: dict[int, Held] = {}

    @property
    def now(self) -> datetime:
        """Return the instant."""
        return MIDNIGHT + timedelta(seconds=self.now_s)

    def at(self, at_s: float, happen: Callable[[], None]) -> None:
        """Have something happen then, if the day is not over by then."""
        if at_s < self._ends_s:
            heapq.heappush(self._events, (at_s, next(self._order), happen))

    def run(self) -> None:
        """Let everything happen in its order."""
        while self._events:
            self.now_s, _, happen = heapq.heappop(self._events)
            happen()

    def held_of(self, user: int) -> Held:
        """Return what is held of a user; of one not seen before, a pair that has long ended."""
        held = self._held.get(user)
        if held is None:
            idle = _SHORTEST_IDLE + (_LONGEST_IDLE - _SHORTEST_IDLE) * self._roll.random()
            held = self._begin(user, self.now - idle)
        return held

    def replace(self, held: Held, *, used: bool, sent_at: datetime) -> None:
        """Give a grant a new pair; `used` when somebody waited for it."""
        grant = held.grant
        first_used_at = sent_at if used else None
        held.grant = _grant(
            held.user, grant.generation + 1, self._pair(sent_at), grant.binding, first_used_at
        )
        self.have_due(held)

    def note_use(self, held: Held) -> None:
        """Note that somebody was given the pair: from now on it is replaced ahead of its end."""
        grant = held.grant
        if grant.first_used_at is None:
            held.grant = _grant(held.user, grant.generation, grant.pair, grant.binding, self.now)
            if held.waiting is None:
                self.have_due(held)

    def have_due(self, held: Held) -> None:
        """Have a grant come due when the broker says so."""
        held.due = due_at(held.grant, self._terms, used=held.grant.first_used_at is not None)
        if held.due is not None and held.due < self._ends_at:
            heapq.heappush(self._due, (held.due, next(self._order), held))

    def next_due(self) -> tuple[Held, timedelta] | None:
        """Take the most urgent grant that is due, and return it with how long it has been so."""
        while self._due and self._due[0][0] <= self.now:
            due, _, held = heapq.heappop(self._due)
            if held.due == due and held.waiting is None:  # else it has another instant by now
                held.due = None
                return held, self.now - due
        return None

    def keep_idle_alive(self, users: int) -> None:
        """Have those idle grants come due whose refresh token would age out: evenly, as they once came."""
        begins_s, first = self.now_s, MIDNIGHT + timedelta(seconds=self.now_s)
        kept = (due_at(self._begin(users, first).grant, self._terms, used=False) or first) - first
        for n in range(round(users * (self._ends_s - begins_s) / kept.total_seconds())):
            comes_due = MIDNIGHT + timedelta(seconds=self._roll.uniform(begins_s, self._ends_s))
            self._begin(users + 1 + n, comes_due - kept)

    def _begin(self, user: int, issued_at: datetime) -> Held:
        grant = _grant(user, 0, self._pair(issued_at), Binding(issued_at), None)
        held = self._held[user] = Held(user, grant)
        self.have_due(held)
        return held

    def _pair(self, sent_at: datetime) -> TokenPair:
        """Return a pair as Cal.com issues it: it ends with a minute."""
        ends_at = (sent_at + self._terms.access_token_lifetime).replace(second=0, microsecond=0)
        stated = Stated(None, sent_at, ends_at, sent_at + _REFRESH_TOKENS_LIVE)
        place = partial(
            place_minted, configured=self._terms.access_token_lifetime, margin=self._terms.refresh_margin
        )
        return place(MintedPair("", "", stated), sent_at, roll=self._roll.random()).pair


def _grant(
    user: int, generation: int, pair: TokenPair, binding: Binding, first_used_at: datetime | None
) -> Grant:
    key = UserKey("", str(user))
    return Grant(key, "", GrantState.LIVE, "", generation, pair, binding, first_used_at=first_used_at)
