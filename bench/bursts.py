"""Plays the bursts: short, one contestant after another, in another order each round, all in one run.

So a moment in which the machine was slow falls on all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.contestants import Contestant
from bench.generator import Load
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


FULL = Plan(rounds=25, most_rounds=100, burst_s=0.25, warm_s=0.06, first_warm_s=1.5, rules=Rules())
QUICK = Plan(rounds=2, most_rounds=2, burst_s=0.15, warm_s=0.05, first_warm_s=0.2, rules=UNTIMED)


def play(contestants: Sequence[Contestant], load: Load, plan: Plan, say: Say) -> dict[str, Summary]:
    """Play every round, and further ones for those with too few bursts that count; returns the summaries."""
    bursts: dict[str, list[Burst]] = {one.name: [] for one in contestants}
    for (
        one
    ) in contestants:  # compilers that optimize while a program runs have done so before anything counts
        _burst(one, load, plan, 0, plan.first_warm_s)
    for number in range(1, plan.most_rounds + 1):
        wanted = contestants if number <= plan.rounds else _unsettled(contestants, bursts, plan)
        if not wanted:
            break
        for one in _shuffled(wanted):
            bursts[one.name].append(_burst(one, load, plan, number, plan.burst_s))
        if number % 5 == 0:
            say(f"round {number}, {len(wanted)} contestants")
    return {name: summarize(found, plan.rules) for name, found in bursts.items()}


def _unsettled(
    contestants: Iterable[Contestant], bursts: dict[str, list[Burst]], plan: Plan
) -> list[Contestant]:
    return [one for one in contestants if not summarize(bursts[one.name], plan.rules).stands]


def _shuffled(contestants: Sequence[Contestant]) -> list[Contestant]:
    order = list(contestants)
    random.shuffle(order)
    return order


def _burst(one: Contestant, load: Load, plan: Plan, number: int, burst_s: float) -> Burst:
    one.before()
    before = one.answers_by_source()
    found = load.burst(
        one.port,
        one.requests,
        connections=plan.connections,
        first=one.cursor,
        warm_s=plan.warm_s,
        burst_s=burst_s,
        watched=one.program.pids,
    )
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
    )


def _settled_sources(one: Contestant) -> dict[str, float]:
    """Return the sources once the last requests of the burst, which nobody waits for, have been counted."""
    if one.observe is None:
        return {}
    time.sleep(0.02)
    return one.answers_by_source()
