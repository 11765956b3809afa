"""Compares the clocks that the broker meets: this machine's, the database's, Redis' and upstream's.

Pure, but for the two that are read here. Which clock is off is said where others agree against it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.doctor.findings import Finding, doubtful, fine, unseen, wrong

THIS = "this machine's"
DOUBTFUL_S = 2.0
WRONG_S = 30.0
_MEND = "Have every machine's time kept by NTP (chronyc tracking or timedatectl shows how it stands); off is "


@dataclass(frozen=True, slots=True)
class Offset:
    """How many seconds a clock is ahead of this machine's, give or take `slack_s`."""

    seconds: float
    slack_s: float = 0.0


def offset_of(there: datetime, asked_at: datetime, took_s: float, resolution_s: float = 0.0) -> Offset:
    """Return how far ahead a clock is that was read somewhere between question and answer.

    A clock that shows whole seconds has gone on by half of one, on average, since it showed this one.
    """
    here = asked_at + timedelta(seconds=took_s / 2)
    seconds = (there - here).total_seconds() + resolution_s / 2
    return Offset(seconds, (took_s + resolution_s) / 2)


def judge_clocks(offsets: Mapping[str, Offset]) -> Finding:
    """Return whether the clocks agree, and if not, which one does not."""
    if not offsets:
        return unseen("clocks", "no other clock could be read")
    known = {THIS: Offset(0.0), **offsets}
    middle = statistics.median(one.seconds for one in known.values())
    apart = {name: max(0.0, abs(one.seconds - middle) - one.slack_s) for name, one in known.items()}
    # Of two clocks nobody knows which one is right: how far they are from each other counts.
    if len(known) == 2:  # noqa: PLR2004 - this machine's and one other
        apart = {name: 2 * far for name, far in apart.items()}
    return _judged(known, middle, apart)


def _judged(known: Mapping[str, Offset], middle: float, apart: Mapping[str, float]) -> Finding:
    far = [name for name in known if apart[name] > DOUBTFUL_S]
    if not far:
        widest = max(abs(one.seconds) for one in known.values())
        return fine("clocks", f"{_listed(list(known))} clock agree within {max(widest, 0.1):.1f} s")
    if len(known) == 2:  # noqa: PLR2004
        what = f"{_listed(list(known))} clock are {_apart(known)} apart"
    else:
        what = "; ".join(f"{name} clock is {_off(known[name].seconds - middle)}" for name in far)
    mend = f"{_MEND}{_listed(far)} clock."
    grave = max(apart.values()) > WRONG_S
    return wrong("clocks", what, mend) if grave else doubtful("clocks", what, mend)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _apart(known: Mapping[str, Offset]) -> str:
    seconds = [one.seconds for one in known.values()]
    return f"{max(seconds) - min(seconds):.0f} s"


def _off(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"


Wall = Callable[[], datetime]
"""Reads this machine's clock, aware."""
