"""What is counted on a simulated day, and the figures made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from service.broker.model import Trigger

_HOUR_S = 3600.0


class Counts:
    """Counts calls, answers, waits and lateness."""

    def __init__(self) -> None:
        self._calls: Counter[int] = Counter()
        self._triggers: Counter[Trigger] = Counter()
        self._answers: Counter[tuple[bool, bool]] = Counter()
        self._waits_s: list[float] = []
        self._late_s: list[float] = []
        self._ended = self._refusals = self._given_up = 0

    def called(self, now_s: float, trigger: Trigger) -> None:
        """Upstream was asked."""
        self._calls[int(now_s // _HOUR_S)] += 1
        self._triggers[trigger] += 1

    def served(self, waited_s: float, *, presented: bool) -> None:
        """Somebody was given a token; who `presented` one had the page open already."""
        at_once = waited_s <= 0
        self._answers[presented, at_once] += 1
        if not at_once:
            self._waits_s.append(waited_s)

    def refused(self, *, last: bool) -> None:
        """The budget was used up for now, and this was the request's last try or not."""
        self._refusals += 1
        self._given_up += last

    def claimed(self, late_s: float, *, ended: bool) -> None:
        """The worker took a due grant so late; `ended`: too late for somebody who was here."""
        self._late_s.append(late_s)
        self._ended += ended

    def figures(self, lasted_s: float) -> dict[str, object]:
        """Return the day's figures."""
        answers, given_up = self._answers.total(), self._given_up
        open_pages = self._answers[True, True] + self._answers[True, False]
        at_once = self._answers[True, True] + self._answers[False, True]
        return {
            "requests": answers + given_up,
            "at_once": at_once / (answers + given_up),
            "at_once_open_pages": self._answers[True, True] / open_pages if open_pages else None,
            "waited_p50_s": quantile(self._waits_s, 0.5),
            "waited_p99_s": quantile(self._waits_s, 0.99),
            "refusals": self._refusals,
            "never_served": given_up / (answers + given_up),
            "calls": self._calls.total(),
            "calls_an_hour": [self._calls[hour] for hour in range(round(lasted_s / _HOUR_S))],
            "calls_by_trigger": {str(trigger): count for trigger, count in sorted(self._triggers.items())},
            "overdue_p50_s": quantile(self._late_s, 0.5),
            "overdue_p99_s": quantile(self._late_s, 0.99),
            "overdue_max_s": max(self._late_s, default=0.0),
            "replaced_after_end": self._ended / len(self._late_s) if self._late_s else 0.0,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
