"""Measures one size after another beside a table of 10,000 grants, and gives each its line of figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.scaling import processes, queries, sweeping, tables
from bench.scaling.filling import Filled, drop, fill
from bench.scaling.site import Site, lacks_room

Say = Callable[[str], None]
Line = dict[str, object]
Lines = dict[str, Line]

BASE = 10_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How many are due, how often each thing is done, and for how many; in all for fewer than are due."""

    due: int
    looks: int
    rounds: int
    writes: int
    asked: int
    counts: int


FULL = Effort(due=10_000, looks=queries.TIMES, rounds=4, writes=1_000, asked=2_000, counts=3)
QUICK = Effort(due=2_500, looks=3, rounds=1, writes=100, asked=50, counts=1)


def measure(where: Site, sizes: list[int], effort: Effort, say: Say) -> Iterator[tuple[str, Line]]:
    """Measure each size in turn; only one of them is on the disk at a time, beside a small one."""
    for grants in sizes:
        why = lacks_room(where.place, grants)
        if why is not None:
            say(why)
            yield str(grants), {"missing": why}
            continue
        with _filled(where, BASE, effort, say) as base, _filled(where, grants, effort, say) as sized:
            yield str(grants), _measure(where, base, sized, effort, say)


@contextmanager
def _filled(where: Site, grants: int, effort: Effort, say: Say) -> Iterator[Filled]:
    began = time.monotonic()
    sized = asyncio.run(fill(where.server_url, grants, effort.due))
    say(f"{grants:,} grants were filled in {time.monotonic() - began:.0f} s")
    try:
        yield sized
    finally:
        asyncio.run(drop(where.server_url, sized))


def _measure(where: Site, base: Filled, sized: Filled, effort: Effort, say: Say) -> Line:
    line: Line = asyncio.run(tables.sizes(sized.url))
    line |= asyncio.run(queries.look_at_both(base, sized, effort.looks))
    say(
        f"{sized.grants:,}: due query {line['due_ms']:.2f} ms, {line['due_vs_10k']:.2f} times the small one's"
    )
    line |= asyncio.run(sweeping.upkeep(sized, effort.counts))
    for one in (base, sized):
        asyncio.run(one.put_aside())
    line |= asyncio.run(queries.claim_and_settle(base, sized, effort.rounds))
    line |= asyncio.run(sweeping.sweep(where, base, sized, effort.rounds))
    line |= asyncio.run(sweeping.writes(where, sized, effort.writes))
    asyncio.run(sized.wave(len(sized.waiting)))
    line |= processes.work(where, sized)
    line |= processes.serve(where, sized, effort.asked)
    say(f"{sized.grants:,}: {line}")
    return line
