"""Tells the sandbox's journal and the broker's log lines as lines that a person understands.

Pure: an entry or a line goes in, a note or nothing comes out, and the figures are kept. Neither holds a
token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.demo.notes import Note, Source, Tally, Tone

if TYPE_CHECKING:
    from sandbox.calcom import Entry

Facts = dict[str, Any]
_OK = range(200, 300)
_EXPIRED, _THROTTLED, _GONE = 498, 429, 404


class Story:
    """Turns what happened into notes; `name_of` says who an upstream user is, as long as it exists."""

    def __init__(self, name_of: Callable[[int], str | None] = lambda _: None) -> None:
        self.tally = Tally()
        self._name_of = name_of
        self._names: dict[int, str] = {}

    def of_entry(self, entry: Entry) -> Note | None:
        """Return the line of a journal entry, None for what is of no interest."""
        tell = _ENTRIES.get(entry.route)
        return tell(self, entry) if tell is not None else None

    def of_line(self, who: Source, facts: Facts) -> Note | None:
        """Return the line of something the service or the worker said."""
        event = str(facts.get("event", ""))
        count = _COUNTED.get(event)
        if count is not None:
            count(self.tally, facts)
        told = _LINES.get(event)
        if told is None:
            return None
        text, tone = told
        return Note(who, event, text.format_map(_Spoken(facts)), tone, at_ms=_instant_ms(facts))

    def who(self, entry: Entry) -> str:
        """Return whom the entry is about."""
        if entry.user_id is None:
            return "a user"
        name = self._name_of(entry.user_id)
        if name is not None:
            self._names[entry.user_id] = name.lower()
        return self._names.get(entry.user_id, f"user {entry.user_id}")


class _Spoken(dict[str, object]):
    """The facts of a line as they are said; what is missing is left out."""

    def __init__(self, facts: Facts) -> None:
        name = str(facts.get("user_id", "")).rpartition("-")[0] or str(facts.get("user_id", "a user"))
        super().__init__(facts, user=name)
        lead_s = float(facts.get("lead_s", 0))
        self["lead"] = f"{abs(lead_s):.1f} s {'before' if lead_s >= 0 else 'after'} its end"

    def __missing__(self, name: str) -> str:
        return "?"


def _instant_ms(facts: Facts) -> float:
    """Return when a line was written, now when it does not say."""
    try:
        return datetime.fromisoformat(str(facts["ts"])).timestamp() * 1000
    except (KeyError, ValueError):
        return time.time() * 1000


# --- What upstream saw ----------------------------------------------------------------------------------


def _upstream(entry: Entry, text: str, tone: Tone = "plain") -> Note:
    return Note("upstream", entry.route, text, tone, at_ms=entry.ended_ms or entry.started_ms)


def _misfortune(entry: Entry, call: str) -> Note | None:
    """Tell of a call that got no good answer; None when it did."""
    if not entry.answered:
        done = "carried out, and its answer was lost" if entry.committed else "lost before it was carried out"
        return _upstream(entry, f"{call}: {done}", "bad")
    if entry.status in _OK:
        return None
    if entry.status == _THROTTLED:
        return _upstream(entry, f"{call}: 429, too many requests", "warn")
    return _upstream(entry, f"{call}: refused with {entry.status}", "warn")


def _created(story: Story, entry: Entry) -> Note:
    story.tally.creates += 1
    return _misfortune(entry, "Create a user") or _upstream(
        entry, f"Created {story.who(entry)} with a first pair"
    )


def _refreshed(story: Story, entry: Entry) -> Note:
    story.tally.refreshes += 1
    story.tally.purged += entry.purged
    story.tally.replaced += entry.issued_access is not None
    swept = f"; {entry.purged} expired token(s) of the whole client swept away" if entry.purged else ""
    return _misfortune(entry, f"Refresh for {story.who(entry)}") or _upstream(
        entry, f"Refresh for {story.who(entry)}: a new pair{swept}", "good"
    )


def _forced(story: Story, entry: Entry) -> Note:
    story.tally.forced += 1
    story.tally.replaced += entry.issued_access is not None
    return _misfortune(entry, f"Force-refresh for {story.who(entry)}") or _upstream(
        entry, f"Force-refresh for {story.who(entry)}: all old tokens dead, a new pair", "warn"
    )


def _checked(story: Story, entry: Entry) -> Note | None:
    if entry.bearer is None:
        return _misfortune(entry, "The client's credentials")
    story.tally.checks += 1
    if entry.status in _OK:
        return _upstream(entry, "Asked about a token: still good")
    return _upstream(entry, f"Asked about a token: {entry.status}, no longer good", "warn")


def _called(story: Story, entry: Entry) -> Note | None:
    if entry.status in _OK:
        story.tally.served_calls += 1
        return None
    story.tally.refused_calls += 1
    why = "it has expired" if entry.status == _EXPIRED else "its row is gone"
    return _upstream(entry, f"Refused a page's token with {entry.status}: {why}", "warn")


def _deleted(story: Story, entry: Entry) -> Note:
    return _misfortune(entry, "Delete a user") or _upstream(entry, f"Deleted {story.who(entry)}")


def _purged(story: Story, entry: Entry) -> Note:
    story.tally.purged += entry.purged
    return _upstream(entry, f"Swept {entry.purged} expired token(s) away: they meet 401 now, not 498", "warn")


def _expired(story: Story, entry: Entry) -> Note:
    return _upstream(entry, f"Ended every token of {story.who(entry)} before its time", "bad")


_ENTRIES: dict[str, Callable[[Story, Entry], Note | None]] = {
    "create": _created,
    "refresh": _refreshed,
    "force": _forced,
    "check": _checked,
    "me": _called,
    "delete": _deleted,
    "sandbox.purge": _purged,
    "sandbox.expire": _expired,
}


# --- What the service and the worker did ----------------------------------------------------------------


def _count_rotation(tally: Tally, facts: Facts) -> None:
    if facts.get("trigger") == "ahead":
        tally.ahead += 1
    elif facts.get("trigger") == "request":
        tally.on_request += 1


def _count_joined(tally: Tally, facts: Facts) -> None:
    tally.joined += int(facts.get("count", 1))


_COUNTED: dict[str, Callable[[Tally, Facts], None]] = {
    "refresh.rotated": _count_rotation,
    "refresh.joined": _count_joined,
}

_LINES: dict[str, tuple[str, Tone]] = {
    "service.started": ("The service is up", "good"),
    "service.stopped": ("The service has ended", "plain"),
    "worker.started": ("The worker is up", "good"),
    "worker.stopped": ("The worker has ended", "plain"),
    "refresh.rotated": ("Replaced the pair of {user} ({trigger}), {lead}", "good"),
    "refresh.joined": ("A caller joined what is under way for {user}", "plain"),
    "refresh.denied": (
        "Upstream says the refresh token of {user} is spent: its access token serves on",
        "warn",
    ),
    "refresh.unavailable": ("No replacement for {user} now ({reason}): tried again later", "warn"),
    "refresh.unknown": ("The answer for {user} was lost ({reason}): asked again once it cannot land", "bad"),
    "refresh.fenced_out": ("Another process was quicker for {user}", "plain"),
    "refresh.refused": ("A token of {user} counts no longer ({reason})", "warn"),
    "refresh.unsettled": ("PostgreSQL is away: the new pair of {user} is held until it is written", "bad"),
    "grant.refused": ("Upstream refused the current token of {user}: nobody is given it again", "warn"),
    "grant.recovered": ("Got {user} back ({kind})", "good"),
    "grant.distrusted": ("Every answer for {user} is confirmed first", "warn"),
    "grant.trusted": ("{user} is trusted again", "good"),
    "grant.died": ("The grant of {user} is dead ({reason})", "bad"),
    "circuit.opened": ("Stopped calling upstream ({reason})", "bad"),
    "circuit.closed": ("Calls upstream again", "good"),
    "dependency.down": ("{dependency} is away", "bad"),
    "dependency.up": ("{dependency} is back", "good"),
    "worker.sweep_failed": ("A sweep failed ({reason})", "bad"),
    "worker.restarted": ("The worker's queue was restarted ({reason})", "warn"),
}
