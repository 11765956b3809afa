"""Counts good answers from a cache in plain numbers, and pours them into the metrics many times a second.

To move the three figures of one answer costs as much as to look its token up; to add to a list does not.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Protocol

_POUR_AFTER_S = 0.05
"""So long at most another process that is asked for the figures of all does not know of an answer."""


class Into(Protocol):
    """The metrics that a tally is poured into."""

    def answered(self, route: str, by_source: Mapping[str, int], took: Sequence[int], seconds: float) -> None:
        """Add so many good answers of a route: by where the token came from, and to each bucket of times."""


class Tally:
    """The good answers of one route.

    What is counted only ever grows, and in the loop's thread alone; what of it is in the metrics stands
    beside it. So whoever renders the figures, in a thread of its own, may pour and takes nothing away.
    """

    __slots__ = (
        "_bounds",
        "_into",
        "_lock",
        "_planned",
        "_poured",
        "_route",
        "_seconds",
        "_sources",
        "_took",
    )

    def __init__(self, into: Into, route: str, bounds: Sequence[float], sources: Sequence[str]) -> None:
        """`bounds` are the histogram's upper ones; `sources` all there may be."""
        self._into = into
        self._route = route
        self._bounds = tuple(bounds)
        self._sources = dict.fromkeys(sources, 0)
        self._took = [0] * (len(bounds) + 1)
        self._seconds = 0.0
        self._planned = False
        self._lock = Lock()
        self._poured = (dict(self._sources), list(self._took), 0.0)

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
            sources, took, seconds = dict(self._sources), list(self._took), self._seconds
            before, self._poured = self._poured, (sources, took, seconds)
            if self._poured == before:
                return
            by_source = {source: now - before[0][source] for source, now in sources.items()}
            more = [now - then for now, then in zip(took, before[1], strict=True)]
            self._into.answered(self._route, by_source, more, seconds - before[2])

    def _pour_as_planned(self) -> None:
        self._planned = False
        self.pour()
