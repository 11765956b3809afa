"""Plays the bursts: short, one contestant after another, in another order each round, all in one run.

So a moment in which the machine was slow falls on all of them alike.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.contestants import Contestant
from bench.generator import Load, LoadFailed
from bench.machine import busy_s
from bench.samples import UNTIMED, Burst, Rules, Summary, summarize

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds of what length, and when a burst counts."""

    rounds: int
    most_rounds: int
    burst_s: float
    warm_s: float
    first_warm_s: float
    rules: Rules
    connections: int = 64


FULL = Plan(rounds=25, most_rounds=200, burst_s=0.25, warm_s=0.06, first_warm_s=1.5, rules=Rules())
QUICK = Plan(
    rounds=1, most_rounds=1, burst_s=0.15, warm_s=0.03, first_warm_s=0.1, rules=UNTIMED, connections=16
)


def play(contestants: Sequence[Contestant], load: Load, plan: Plan, say: Say) -> dict[str, Summary]:
    """Play every round, and further ones for those with too few bursts that count; returns the summaries."""
    scores = [Score(one) for one in contestants]
    for score in scores:  # what optimizes itself while it runs has done so before anything counts
        score.play(load, plan, 0)
    for number in range(1, plan.most_rounds + 1):
        wanted = [score for score in scores if score.wants(number, plan)]
        if not wanted:
            break
        for score in _shuffled(wanted):
            score.play(load, plan, number)
        if number % 5 == 0:
            say(f"round {number}, {len(wanted)} contestants")
    return {score.one.name: score.summary(plan.rules) for score in scores}


@dataclass(slots=True)
class Score:
    """A contestant's bursts so far; one that failed is out."""

    one: Contestant
    bursts: list[Burst] = field(default_factory=list)
    failed: str | None = None

    def wants(self, number: int, plan: Plan) -> bool:
        """Whether it plays in this round."""
        if self.failed is not None:
            return False
        return number <= plan.rounds or not self.summary(plan.rules).stands

    def play(self, load: Load, plan: Plan, number: int) -> None:
        """Play one burst; round 0 is longer and counts for nothing."""
        if self.failed is not None:
            return
        try:
            burst = _burst(self.one, load, plan, number)
        except (LoadFailed, OSError) as error:
            self.failed = str(error)
            return
        if number > 0:
            self.bursts.append(burst)

    def summary(self, rules: Rules) -> Summary:
        """Return what its bursts come to."""
        if self.failed is not None:
            return Summary(tuple(self.bursts), why=self.failed)
        return summarize(self.bursts, rules)


def _shuffled(scores: Sequence[Score]) -> list[Score]:
    order = list(scores)
    random.shuffle(order)
    return order


def _burst(one: Contestant, load: Load, plan: Plan, number: int) -> Burst:
    one.before()
    before = one.answers_by_source()
    rest = max(os.sched_getaffinity(0))  # the one core that the generator runs on, and we do
    began, busy = time.monotonic(), busy_s(rest)
    found = load.burst(
        one.port,
        one.requests,
        connections=plan.connections,
        first=one.cursor,
        warm_s=plan.warm_s,
        burst_s=plan.burst_s if number > 0 else plan.first_warm_s,
        watched=one.program.pids,
    )
    rest_share = min(1.0, (busy_s(rest) - busy) / (time.monotonic() - began))
    one.cursor = found["next"]
    wrong = found["wrong_status"] + found["wrong_body"] + found["broken"]
    return Burst(
        round=number,
        answers=found["right"],
        wrong=wrong,
        seconds=found["seconds"],
        server_cpu_s=found["server_cpu_s"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        on_path=one.share_on_path(before, _settled_sources(one)),
        rest_share=rest_share,
    )


def _settled_sources(one: Contestant) -> dict[str, float]:
    """Return the sources once the last requests of the burst, which nobody waits for, have been counted."""
    if one.observe is None:
        return {}
    time.sleep(0.1)
    return one.answers_by_source()
