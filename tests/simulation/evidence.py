"""All that is known of a schedule when it is over, looked up the ways the checker asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from service.broker.model import Confirmed, GrantState
from service.broker.policy import Terms
from tests.simulation.journal import Journal
from tests.simulation.loop import Loop
from tests.simulation.tables import Moved, Stored, Tables
from tests.simulation.upstream import Upstream

_NEAR_S = 1.1


@dataclass
class Evidence:
    """The journal, what was committed, and what upstream has issued."""

    journal: Journal
    tables: Tables
    upstream: Upstream
    terms: Terms
    loop: Loop
    excuses: int = 0
    by_kind: dict = field(default_factory=dict)
    stored: dict = field(default_factory=dict)
    stored_by_refresh_token: dict = field(default_factory=dict)

    def __post_init__(self):
        for entry in self.tables.log:
            self.by_kind.setdefault(type(entry), []).append(entry)
        for entry in self.of(Stored):
            self.stored[entry.access_token] = entry
            self.stored_by_refresh_token[entry.refresh_token] = entry

    def of(self, kind):
        """Return what was committed of one kind, in order."""
        return self.by_kind.get(kind, [])

    @cached_property
    def handed_out(self):
        """Every call that was answered with a token, and the token."""
        return [(call, call.token()) for call in self.journal.calls if call.token() is not None]

    @cached_property
    def confirmed(self):
        """The checks that upstream has answered with yes, by token."""
        confirmed = {}
        for one in self.journal.exchanges:
            if one.call == "check" and isinstance(one.outcome, Confirmed):
                confirmed.setdefault(one.shown, []).append(one)
        return confirmed

    def begun_at(self, call, token):
        """Return since when a call counts: who joins a check joins it from its beginning."""
        joined = [
            one.sent_at
            for one in self.confirmed.get(token, ())
            if one.sent_at <= call.started_at <= one.answered_at
        ]
        return min(joined, default=call.started_at)

    def presented(self, call):
        """Return what was stored of the token that a call presented, or None."""
        return self.stored.get(call.presented)

    def live_throughout(self, key, call):
        """Whether the user's grant was LIVE during all of a call."""
        live = True
        for entry in self.of(Moved):
            if entry.key == key and entry.at <= call.answered_at:
                live = entry.state is GrantState.LIVE and (live or entry.at < call.started_at)
        return live

    def excused(self, call):
        """Whether Redis was away when an answer was to be blocked, and had not blocked it in time.

        What stands in a Redis that comes back is served until the block that is owed has been paid.
        """
        excused = any(
            owed.key == call.key
            and call.outcome.generation <= owed.generation
            and owed.owed_at <= call.answered_at
            and (owed.paid_at is None or call.answered_at <= owed.paid_at + _NEAR_S)
            for owed in self.journal.owed
        )
        self.excuses += excused
        return excused


def named(call):
    """Name a call for people."""
    return f"{call.kind} of {call.key.user_id} at {call.by}, {call.started_at:.3f} to {call.answered_at:.3f},"
