"""The run's last line: its keys, what each figure is made of, and what becomes of one that cannot be had."""

import json
import math

import pytest

from bench import ahead, stampede
from bench.__main__ import BOUNDS
from bench.figures import KEYS, MEASURED, RATIOS, SCALING, Figure, Missing, failures, figures, line
from bench.samples import UNTIMED, Burst, summarize
from bench.saved import due_growth

PROMISED = (
    "near_vs_bare, redis_vs_bare, redis_vs_ioredis, near_vs_ioredis, redis_vs_node_pg, redis_vs_next_prisma, "
    "redis_vs_handwritten, rotation_vs_handwritten, scaling_2, stampede_upstream_calls, "
    "stampede_added_p99_ms, ahead_per_s, ahead_core_share_at_278, due_10m_vs_10k, observed_vs_bare_path"
)


def at_rate(rate, cpu_us=50.0):
    return summarize([Burst(1, rate, 0, 1.0, rate * cpu_us / 1e6, 1.0, 2.0)], UNTIMED)


@pytest.fixture
def everybody():
    names = {name for pair in RATIOS.values() for name in pair} | set(SCALING)
    return {name: at_rate(1000) for name in names}


def test_the_last_line_has_exactly_the_promised_keys_in_their_order(everybody):
    made = line(figures(everybody, {}))

    assert ", ".join(made) == f"{PROMISED}, spread"
    assert {*BOUNDS, "spread"} == set(made)


def test_the_last_line_says_how_far_a_figure_varied_where_it_has_a_spread():
    made = line({"one": Figure(2.0, 1.5, 2.5), "other": Figure(1.0), "none": Figure(3.0, math.nan, math.nan)})

    assert made == {"one": 2, "other": 1, "none": 3, "spread": {"one": [1.5, 2.5]}}


def test_a_ratio_is_ours_over_theirs(everybody):
    made = figures(everybody | {"redis": at_rate(3000), "next_handwritten": at_rate(60)}, {})

    assert made["redis_vs_handwritten"].value == 50
    assert made["near_vs_bare"].value == 1


def test_scaling_is_what_an_answer_costs_with_one_process_over_two_against_the_frameworks_own(everybody):
    costs = {"redis": 60.0, "redis_two": 80.0, "bare": 40.0, "bare_two": 50.0}
    made = figures(everybody | {name: at_rate(1000, us) for name, us in costs.items()}, {})

    assert made["scaling_2"].value == pytest.approx(0.9375)


def test_what_was_measured_elsewhere_is_taken_over(everybody):
    measured = {name: Figure(float(place)) for place, name in enumerate(MEASURED)}

    made = line(figures(everybody, measured))

    assert [made[name] for name in MEASURED] == [0, 1, 2, 3, 4]


def test_a_peer_that_is_missing_leaves_its_figures_null_and_is_no_failure(everybody):
    given = {name: Figure(1.0) for name in MEASURED}
    made = figures(everybody | {"node_ioredis": Missing("npm is not installed")}, given)

    assert [name for name, value in line(made).items() if value is None] == [
        "redis_vs_ioredis",
        "near_vs_ioredis",
    ]
    assert made["near_vs_ioredis"].why == "node_ioredis: npm is not installed"
    assert failures(made) == []


def test_a_contestant_whose_bursts_do_not_count_leaves_its_figures_null_and_fails_the_run(everybody):
    given = {name: Figure(1.0) for name in MEASURED}
    made = figures(everybody | {"node_pg": summarize([], UNTIMED)}, given)

    assert made["redis_vs_node_pg"].value is None
    assert [why.partition(":")[0] for why in failures(made)] == ["redis_vs_node_pg"]


def test_what_was_not_measured_fails_the_run_unless_it_is_excused(everybody):
    made = figures(everybody, {})

    assert len(failures(made)) == len(MEASURED)
    assert failures(made, but=MEASURED) == []


def test_every_figure_is_made_once():
    assert sorted([*RATIOS, "scaling_2", *MEASURED]) == sorted(KEYS)


def a_stampede(*waits_ms, calls=1, wrong=0):
    return stampede.Stampede(calls, wrong, waits_ms)


def test_a_stampede_is_judged_by_the_slowest_page_in_a_hundred_and_the_most_calls():
    steady = a_stampede(*[10.0] * 98, 50.0, 70.0)

    made = stampede.figures([steady, steady, a_stampede(*[900.0] * 100, calls=2)])

    assert made["stampede_added_p99_ms"].value == 70.0
    assert made["stampede_upstream_calls"].value == 2


def test_a_page_with_a_wrong_answer_or_none_leaves_a_stampede_without_figures():
    made = stampede.figures([a_stampede(10.0), a_stampede(10.0, wrong=1)])

    assert {figure.value for figure in made.values()} == {None}


def test_a_worker_that_did_not_keep_up_has_no_share_of_a_core():
    assert ahead.paced_figure(8340, 8340, 9.0, 30.0).value == pytest.approx(0.3)
    assert ahead.paced_figure(8339, 8340, 9.0, 30.0).value is None


def test_the_due_querys_growth_is_read_from_the_saved_result(tmp_path):
    saved = tmp_path / "scale.json"
    saved.write_text(json.dumps({"due_10m_vs_10k": 1.25}))

    assert due_growth(saved)["due_10m_vs_10k"].value == 1.25


@pytest.mark.parametrize("text", [None, "{}", '{"due_10m_vs_10k": null}'])
def test_without_a_saved_result_the_due_querys_growth_is_missing(tmp_path, text):
    saved = tmp_path / "scale.json"
    if text is not None:
        saved.write_text(text)

    found = due_growth(saved)["due_10m_vs_10k"]

    assert (found.value, found.missing) == (None, True)
