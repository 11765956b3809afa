"""Tells the log lines of service and worker as lines that a person understands.

Pure: a line's facts go in, a note or nothing comes out, and the figures are kept. Neither holds a token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.demo.notes import Note, Source, Tally, Tone

Facts = dict[str, Any]
_SUFFIX = re.compile(r"-[0-9a-f]{6}$")


class Heard:
    """Turns log lines into notes; `alone` where no journal tells of the calls to upstream."""

    def __init__(self, tally: Tally, *, alone: bool = False) -> None:
        self._tally = tally
        self._alone = alone

    def of_line(self, who: Source, facts: Facts) -> Note | None:
        """Return the line of something the service or the worker said, None for what is of no interest."""
        event = str(facts.get("event", ""))
        if event == "upstream.call":
            return self._of_call(facts) if self._alone else None
        count = _COUNTED.get(event)
        if count is not None:
            count(self._tally, facts)
        told = _LINES.get(event)
        if told is None:
            return None
        text, tone = told
        return Note(who, event, text.format_map(_Spoken(facts)), tone, at_ms=_instant_ms(facts))

    def _of_call(self, facts: Facts) -> Note:
        """Take the broker's own word for a call, where there is no other."""
        call, outcome = str(facts.get("call")), str(facts.get("outcome"))
        counted = _CALLS.get(call)
        if counted is not None:
            setattr(self._tally, counted, getattr(self._tally, counted) + 1)
        self._tally.replaced += outcome == "rotated" and call in {"refresh", "recover"}
        took_ms = round(float(facts.get("seconds", 0)) * 1000)
        tone: Tone = "good" if outcome in {"rotated", "created", "confirmed", "done", "found"} else "warn"
        text = f"The broker's {call} call: {outcome}, in {took_ms} ms"
        return Note("upstream", f"call.{call}", text, tone, at_ms=_instant_ms(facts))


class _Spoken(dict[str, object]):
    """The facts of a line as they are said; what is missing is left out."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts, user=_SUFFIX.sub("", str(facts.get("user_id", "a user"))))
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


def _count_rotation(tally: Tally, facts: Facts) -> None:
    if facts.get("trigger") == "ahead":
        tally.ahead += 1
    elif facts.get("trigger") == "request":
        tally.on_request += 1


def _count_joined(tally: Tally, facts: Facts) -> None:
    tally.joined += int(facts.get("count", 1))


_CALLS = {"create": "creates", "refresh": "refreshes", "recover": "forced", "check": "checks"}

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
    "refresh.unknown": (
        "No answer settles it for {user} ({reason}): asked again when that call cannot land",
        "bad",
    ),
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
