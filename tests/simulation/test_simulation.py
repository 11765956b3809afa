"""Thousands of seeded schedules of the real use cases keep every invariant, and replay step by step.

SIMULATION_SCHEDULES runs so many instead of SIMULATION_SECONDS' worth; SIMULATION_SEED is the first seed.
"""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.simulation.campaign import batches, run_campaign, run_seeds, told
from tests.simulation.controls import CONTROLS
from tests.simulation.schedule import Schedule

SCHEDULES = os.environ.get("SIMULATION_SCHEDULES")
SECONDS = float(os.environ.get("SIMULATION_SECONDS", "20"))
FIRST_SEED = int(os.environ.get("SIMULATION_SEED", "0"))
WITHIN = 40
TROUBLES = (
    "kill", "stop", "retire", "one that waits is struck",
    "flush", "lose_redis", "lose_storage", "lose_upstream", "refuse_client",
    "lost", "late", "vanished", "not_sent", "throttled", "doubled", "slow",
    "statement fails", "statement lands late", "acknowledgement is lost", "Redis fails",
    "request delivered twice", "tick delivered twice",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def findings_within(profile):
    """What the first seeds come to in a profile."""
    return [text for seed in range(WITHIN) for text in Schedule(seed, profile).run()]


@pytest.mark.timeout(1800)
def test_no_schedule_breaks_an_invariant(capsys):
    amount = {"seconds": SECONDS} if SCHEDULES is None else {"schedules": int(SCHEDULES)}
    tally, seconds = run_campaign(FIRST_SEED, **amount)
    lines = told(tally, seconds)
    with capsys.disabled():
        print(f"\nsimulation: {lines[0]}, {lines[-1]}")  # noqa: T201 - how many there were is the result
    assert tally.findings == {}, "\n".join(lines)
    assert tally.schedules > 0


def test_a_campaign_of_so_many_schedules_runs_each_seed_once_and_ends():
    handed_out = [seed for batch in islice(batches(7, 120), 10) for seed in batch]
    assert handed_out == list(range(7, 127))


def test_every_kind_of_trouble_comes_in_a_hundred_schedules():
    figures = run_seeds(range(100)).figures
    assert {name for name in TROUBLES if not figures[f"trouble: {name}"]} == set()


@pytest.mark.parametrize("mechanism", CONTROLS)
def test_without_a_mechanism_the_checker_finds_what_it_prevents(mechanism):
    control = CONTROLS[mechanism]
    findings = findings_within(control.profile_without())
    assert any(text.startswith(control.finding) for text in findings)


@pytest.mark.parametrize("mechanism", CONTROLS)
def test_with_the_mechanism_in_place_the_same_profile_passes(mechanism):
    assert findings_within(CONTROLS[mechanism].profile) == []


def test_a_seed_replays_step_by_step_in_another_process():
    replay = [sys.executable, "-m", "tests.simulation", "--replay", "3"]
    told = [
        subprocess.run(
            replay, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": salt}, stdout=subprocess.PIPE, check=False
        ).stdout
        for salt in ("1", "2")
    ]
    assert told[0].count(b"\n") > 100
    assert told[0] == told[1]


def test_two_seeds_are_two_schedules():
    traces = [[], []]
    for seed, trace in enumerate(traces):
        Schedule(seed, CONTROLS["recovery"].profile, trace=trace.append).run()
    assert traces[0] != traces[1]
