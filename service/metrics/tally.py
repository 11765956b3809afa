"""Counts good answers from a cache in plain numbers, and pours them into the metrics many times a second.

To move the three figures of one answer costs as much as to look its token up; to add to a list does not.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.metrics.figures import Metrics

_POUR_AFTER_S = 0.05
"""So long at most another process that is asked for the figures of all does not know of an answer."""


class Tally:
    """The good answers of one route.

    What is counted only ever grows, and in the loop's thread alone; what of it is in the metrics stands
    beside it. So whoever renders the figures, in a thread of its own, may pour and takes nothing away.
    """

    __slots__ = (
        "_bounds",
        "_lock",
        "_metrics",
        "_planned",
        "_poured",
        "_poured_took",
        "_route",
        "_seconds",
        "_sources",
        "_took",
    )

    def __init__(self, metrics: Metrics, route: str, bounds: Sequence[float], sources: Sequence[str]) -> None:
        """`bounds` are the histogram's upper ones; `sources` all there may be."""
        self._metrics = metrics
        self._route = route
        self._bounds = tuple(bounds)
        self._sources = dict.fromkeys(sources, 0)
        self._took = [0] * (len(bounds) + 1)
        self._seconds = 0.0
        self._planned = False
        self._lock = Lock()
        self._poured = dict(self._sources)
        self._poured_took = (list(self._took), 0.0)

    def __call__(self, source: str, seconds: float) -> None:
        """Count one."""
        self._sources[source] += 1
        self._took[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_POUR_AFTER_S, self._pour_as_planned)

    def pour(self) -> None:
        """Move the metrics by what was counted since the last time; in any thread."""
        with self._lock:
            for source, count in self._sources.items():
                if count > self._poured[source]:
                    self._metrics.answers.of(source).inc(count - self._poured[source])
                    self._poured[source] = count
            took, seconds = list(self._took), self._seconds
            before, self._poured_took = self._poured_took, (took, seconds)
            if self._poured_took != before:
                counts = [now - then for now, then in zip(took, before[0], strict=True)]
                self._metrics.http_requests.of(self._route, "200").inc(sum(counts))
                self._metrics.took(self._route, counts, seconds - before[1])

    def _pour_as_planned(self) -> None:
        self._planned = False
        self.pour()
