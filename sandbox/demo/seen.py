"""Tells the sandbox's journal as lines that a person understands: what upstream saw.

Pure: an entry goes in, a note or nothing comes out, and the figures are kept. Neither holds a token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.demo.notes import Note, Tally, Tone

if TYPE_CHECKING:
    from sandbox.calcom import Entry

_OK = range(200, 300)
_EXPIRED, _THROTTLED = 498, 429


class Seen:
    """Turns journal entries into notes; `name_of` says who an upstream user is, as long as it exists."""

    def __init__(self, tally: Tally, name_of: Callable[[int], str | None] = lambda _: None) -> None:
        self.tally = tally
        self._name_of = name_of
        self._names: dict[int, str] = {}

    def of_entry(self, entry: Entry) -> Note | None:
        """Return the line of a journal entry, None for what is of no interest."""
        tell = _ENTRIES.get(entry.route)
        return tell(self, entry) if tell is not None else None

    def who(self, entry: Entry) -> str:
        """Return whom the entry is about."""
        if entry.user_id is None:
            return "a user"
        name = self._name_of(entry.user_id)
        if name is not None:
            self._names[entry.user_id] = name.lower()
        return self._names.get(entry.user_id, f"user {entry.user_id}")


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


def _created(seen: Seen, entry: Entry) -> Note:
    seen.tally.creates += 1
    return _misfortune(entry, "Create a user") or _upstream(
        entry, f"Created {seen.who(entry)} with a first pair"
    )


def _refreshed(seen: Seen, entry: Entry) -> Note:
    seen.tally.refreshes += 1
    seen.tally.purged += entry.purged
    seen.tally.replaced += entry.issued_access is not None
    swept = f"; {entry.purged} expired token(s) of the whole client swept away" if entry.purged else ""
    return _misfortune(entry, f"Refresh for {seen.who(entry)}") or _upstream(
        entry, f"Refresh for {seen.who(entry)}: a new pair{swept}", "good"
    )


def _forced(seen: Seen, entry: Entry) -> Note:
    seen.tally.forced += 1
    seen.tally.replaced += entry.issued_access is not None
    return _misfortune(entry, f"Force-refresh for {seen.who(entry)}") or _upstream(
        entry, f"Force-refresh for {seen.who(entry)}: all old tokens dead, a new pair", "warn"
    )


def _checked(seen: Seen, entry: Entry) -> Note | None:
    if entry.bearer is None:
        return _misfortune(entry, "The client's credentials")
    seen.tally.checks += 1
    if entry.status in _OK:
        return _upstream(entry, "Asked about a token: still good")
    return _upstream(entry, f"Asked about a token: {entry.status}, no longer good", "warn")


def _called(seen: Seen, entry: Entry) -> Note | None:
    if entry.status in _OK:
        seen.tally.served_calls += 1
        return None
    seen.tally.refused_calls += 1
    why = "it has expired" if entry.status == _EXPIRED else "its row is gone"
    return _upstream(entry, f"Refused a page's token with {entry.status}: {why}", "warn")


def _deleted(seen: Seen, entry: Entry) -> Note:
    return _misfortune(entry, "Delete a user") or _upstream(entry, f"Deleted {seen.who(entry)}")


def _purged(seen: Seen, entry: Entry) -> Note:
    seen.tally.purged += entry.purged
    return _upstream(entry, f"Swept {entry.purged} expired token(s) away: they meet 401 now, not 498", "warn")


def _expired(seen: Seen, entry: Entry) -> Note:
    return _upstream(entry, f"Ended every token of {seen.who(entry)} before its time", "bad")


_ENTRIES: dict[str, Callable[[Seen, Entry], Note | None]] = {
    "create": _created,
    "refresh": _refreshed,
    "force": _forced,
    "check": _checked,
    "me": _called,
    "delete": _deleted,
    "sandbox.purge": _purged,
    "sandbox.expire": _expired,
}
