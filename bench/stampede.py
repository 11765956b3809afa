"""Two thousand pages ask at once for one user whose token is over: what upstream sees, who waits how long.

The wait that counts is beyond upstream's own time: from its last answer to the last byte of a page's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import ours, stored
from bench.figures import Figure
from bench.generator import LoadFailed, write_requests
from bench.people import Person, people, with_current
from bench.programs import Program
from bench.stand import Stand, calls, stub

_FIRST = 4_000_000
_UPSTREAM_MS = 500


@dataclass(frozen=True, slots=True)
class Size:
    """How many pages, and how often."""

    pages: int
    times: int


FULL, QUICK = Size(2000, 7), Size(100, 1)


@dataclass(frozen=True, slots=True)
class Stampede:
    """What one of them showed."""

    upstream_calls: int
    wrong: int
    waits_ms: tuple[float, ...]
    """Of every page, beyond upstream's answer."""

    @property
    def p99_ms(self) -> float:
        """The wait that one page in a hundred exceeds."""
        ordered = sorted(self.waits_ms)
        return ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)]


def measure(stand: Stand, size: Size) -> dict[str, Figure]:
    """Play stampedes, each on another user, over two processes of one service."""
    crowd = people(size.times + 1, first=_FIRST, ends_in_s=-600)
    asyncio.run(stored.store_people(stand.database_url, crowd))
    with ExitStack() as stack:
        slow = stack.enter_context(stub(stand.place, stand.cores, delay_ms=_UPSTREAM_MS))
        service = ours.start(stack, stand, "broker stampeded", upstream=slow, processes=2)
        try:
            played = [_play(stand, size, service, slow, one) for one in crowd]
        except LoadFailed as error:
            return _none(str(error))
    # The first one finds connections to the stores that are not open yet.
    return figures(played[1:])


def figures(played: Sequence[Stampede]) -> dict[str, Figure]:
    """Return the two figures; answers that were wrong or did not come leave none."""
    wrong = sum(one.wrong for one in played)
    if wrong:
        return _none(f"{wrong} pages had a wrong answer or none")
    asked, waits = [one.upstream_calls for one in played], [one.p99_ms for one in played]
    return {
        "stampede_upstream_calls": Figure(max(asked), min(asked), max(asked)),
        "stampede_added_p99_ms": Figure(median(waits), min(waits), max(waits)),
    }


def _none(why: str) -> dict[str, Figure]:
    return dict.fromkeys(("stampede_upstream_calls", "stampede_added_p99_ms"), Figure(None, why=why))


def _play(stand: Stand, size: Size, service: ours.Service, slow: Program, one: Person) -> Stampede:
    asked = write_requests(stand.place / "stampede.requests", with_current([one]))
    before = calls(slow)["refreshes"]
    found: dict[str, Any] = stand.load.stampede(service.public, asked, connections=size.pages, first=0)
    after = calls(slow)
    waits = tuple((came_at - after["ended_at"]) * 1000 for came_at in found["came_at"])
    return Stampede(after["refreshes"] - before, size.pages - len(waits), waits)
