"""Many schedules in several processes, and what they come to in figures.

A schedule depends on nothing but its seed: which process runs it, and when, changes nothing.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count, islice

from service.broker.model import Denied, Rotated
from tests.simulation.schedule import Schedule
from tests.simulation.tables import Stored

PROCESSES = 2
_SEEDS_AT_ONCE = 50
_SEEDS_A_COLLECTION = 25
_MOST_FINDINGS = 20
_ENOUGH = 50


@dataclass
class Tally:
    """What a number of schedules came to; `findings` by seed."""

    schedules: int = 0
    cpu_s: float = 0.0
    figures: Counter = field(default_factory=Counter)
    findings: dict = field(default_factory=dict)

    def add(self, other):
        self.schedules += other.schedules
        self.cpu_s += other.cpu_s
        self.figures += other.figures
        self.findings |= other.findings

    def count(self, seed, schedule, findings):
        """Count one schedule that has run."""
        self.schedules += 1
        self.figures["steps"] += schedule.world.loop.steps
        self.figures["calls"] += len(schedule.journal.calls)
        self.figures["answers with a token"] += sum(
            call.token() is not None for call in schedule.journal.calls
        )
        self.figures["pairs replaced"] += sum(
            type(entry) is Stored and entry.before > 0 for entry in schedule.tables.log
        )
        for one in schedule.journal.exchanges:
            self.figures[f"upstream {one.call}"] += 1
            if one.call == "refresh" and isinstance(one.outcome, (Denied, Rotated)):
                self.figures["refreshes answered"] += 1
        for event in ("refresh.unknown", "refresh.fenced_out", "grant.recovered", "grant.distrusted"):
            self.figures[event] += schedule.journal.counts[event]
        for name, times in schedule.world.troubles.items():
            self.figures[f"trouble: {name}"] += times
        self.figures["caches behind their row at rest"] += schedule.behind
        self.figures["answers excused: Redis owed a block"] += schedule.excuses
        if findings:
            self.findings[seed] = findings[:_MOST_FINDINGS]


def run_seeds(seeds, profile=None):
    """Run these seeds one after the other and return their tally."""
    tally, began_s = Tally(), time.process_time()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for seed in seeds:
            schedule = Schedule(seed, profile)
            findings = schedule.run()
            tally.count(seed, schedule, findings)
            schedule.forget()
            if seed % _SEEDS_A_COLLECTION == 0:
                gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    tally.cpu_s = time.process_time() - began_s
    return tally


def run_campaign(first_seed, *, schedules=None, seconds=None, processes=PROCESSES):
    """Run schedules from a seed on: so many, or for so many seconds; returns tally and seconds taken.

    Ends early when so many of them have failed that more would tell nothing new.
    """
    started, tally, running = time.monotonic(), Tally(), set()
    waiting = batches(first_seed, schedules)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while True:
            in_time = seconds is None or time.monotonic() < started + seconds
            wanted = 2 * processes - len(running) if in_time and len(tally.findings) < _ENOUGH else 0
            running |= {pool.submit(run_seeds, batch) for batch in islice(waiting, wanted)}
            if not running:
                return tally, time.monotonic() - started
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                tally.add(one.result())


def batches(first_seed, schedules):
    """Yield ranges of seeds from the first on, without end where no number of schedules is given."""
    ends = count() if schedules is None else iter(range(schedules))
    while batch := list(islice(ends, _SEEDS_AT_ONCE)):
        yield range(first_seed + batch[0], first_seed + batch[-1] + 1)


def told(tally, seconds):
    """Return the figures, and every finding with its seed, as lines."""
    lines = [f"{tally.schedules} schedules in {seconds:.1f} s and {tally.cpu_s:.1f} s of CPU"]
    lines += [f"  {name}: {count}" for name, count in sorted(tally.figures.items())]
    for seed, findings in sorted(tally.findings.items()):
        lines.append(f"seed {seed}, again with: python -m tests.simulation --replay {seed}")
        lines += [f"  {text}" for text in findings[:5]]
        lines += [f"  and {len(findings) - 5} more"] if len(findings) > 5 else []
    lines.append(f"{len(tally.findings)} of {tally.schedules} schedules broke an invariant")
    return lines
