"""How long a refusal takes, by its reason: what takes longer can be told from the rest (row H33).

Unknown, past its window and revoked, each asked for twice, all interleaved: the medians of two reasons may
differ by no more than those of the two runs of one. The figures are one JSON object.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time

from sandbox.embedded import folder
from tests.hostile.cases import http
from tests.hostile.people import settle_in
from tests.hostile.town import town

REASONS = {"unknown": "forged.hs256", "past_window": "late25", "revoked": "revoked"}
SAMPLES = 10_000
TRIALS = 200
WARM_UP = 20
"""One in so many samples is asked for beforehand, and not counted."""


async def measure(it, samples):
    """Return the times of each run: two of every reason, all interleaved in a random order each round."""
    requests = {
        (reason, run): it.filled(http(f"Authorization: Bearer {{{name}}}"))
        for reason, name in REASONS.items()
        for run in ("a", "b")
    }
    times = {key: [] for key in requests}
    order = list(requests)
    async with it.line("public") as line:
        for _ in range(samples):
            random.shuffle(order)
            for key in order:
                began = time.perf_counter_ns()
                await line.send(requests[key])
                answer = await line.answer()
                times[key].append(time.perf_counter_ns() - began)
                if answer.status != 401:
                    raise LookupError(f"{key} got {answer.status}")
    return times


def between(one, other):
    """Return by how many microseconds two medians differ."""
    return abs(statistics.median(one) - statistics.median(other)) / 1000


def weigh(times):
    """Return the medians, the differences within and between reasons, and whether they can be told apart."""
    both = {reason: times[reason, "a"] + times[reason, "b"] for reason in REASONS}
    pairs = [(one, other) for one in REASONS for other in REASONS if one < other]
    differ = {f"{one}/{other}": round(between(both[one], both[other]), 2) for one, other in pairs}
    within = max(between(times[reason, "a"], times[reason, "b"]) for reason in REASONS)
    chance = by_chance(times)
    return {
        "samples": len(times["unknown", "a"]),
        "median_us": {reason: round(statistics.median(both[reason]) / 1000, 2) for reason in REASONS},
        "within_us": round(within, 2),
        "by_chance_us": round(chance, 2),
        "between_us": differ,
        "told_apart": max(differ.values()) > max(within, chance),
    }


def by_chance(times):
    """Return what two halves of one reason differ by in 99 of 100 random cuts: the noise of this run."""
    differences = []
    for _ in range(TRIALS):
        for reason in REASONS:
            pool = times[reason, "a"] + times[reason, "b"]
            random.shuffle(pool)
            half = len(pool) // 2
            differences.append(between(pool[:half], pool[half:]))
    return statistics.quantiles(differences, n=100)[98]


async def timed(samples):
    """Measure against real processes, and print the figures; returns the exit code."""
    with folder() as place:
        async with town(place) as it:
            await settle_in(it)
            await measure(it, samples // WARM_UP)
            figures = weigh(await measure(it, samples))
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 1 if figures["told_apart"] else 0
