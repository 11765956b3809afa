"""A contestant: a running server, what is asked of it, and by what we know that it took its path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.programs import Program
from bench.stand import get

_ANSWERS = re.compile(r'^token_broker_answers_total\{[^}]*source="(\w+)"[^}]*\} ([0-9.e+]+)', re.MULTILINE)


UNCOUNTED = "uncounted"


def _nothing() -> None:
    """What most contestants do before a burst."""


@dataclass(slots=True)
class Contestant:
    """`cursor` is the next request: no burst begins where another began."""

    name: str
    title: str
    program: Program
    requests: Path
    port: int
    before: Callable[[], None] = _nothing
    source: str | None = None
    """Where the broker's own metrics must say its answers came from; UNCOUNTED when they must say nothing."""
    observe: int | None = None
    cursor: int = field(default=0)

    def answers_by_source(self) -> dict[str, float]:
        """Return how many answers the server says it gave so far, by where they came from."""
        if self.observe is None:
            return {}
        totals: dict[str, float] = {}
        for source, count in _ANSWERS.findall(get(self.observe, "/metrics")):
            totals[source] = totals.get(source, 0.0) + float(count)
        return totals

    def share_on_path(self, before: dict[str, float], after: dict[str, float]) -> float:
        """Return which share of the answers in between came from where they should."""
        if self.source is None:
            return 1.0
        given = {source: count - before.get(source, 0.0) for source, count in after.items()}
        in_all = sum(given.values())
        if self.source == UNCOUNTED:
            return 0.0 if in_all else 1.0
        return given.get(self.source, 0.0) / in_all if in_all else 0.0
