"""The simulated day: the same each time, with budgets that are kept and costs that follow the design."""

import random
from dataclasses import replace

import pytest

from bench.scaling.activity import DAY_S, HOURS, visits
from bench.scaling.counts import quantile
from bench.scaling.day import Day, Scene
from service.broker.policy import Terms

CALM = Scene(users=2_000, seen=0.1, rate_a_minute=30, warm_up_s=3600.0, lasts_s=12 * 3600.0)


@pytest.fixture(scope="module")
def calm():
    return Day(CALM).run()


def test_the_same_seed_gives_the_same_day_and_another_seed_another(calm):
    assert Day(CALM).run() == calm
    assert Day(replace(CALM, seed=2)).run() != calm


def test_with_budget_to_spare_an_open_page_does_not_wait_and_nothing_is_overdue_for_long(calm):
    assert calm["at_once_open_pages"] > 0.97
    assert calm["never_served"] == 0
    # The worker looks every five seconds; of so small a budget it takes one or two calls at a time.
    assert calm["overdue_p99_s"] <= 10.0


def test_who_has_been_away_waits_for_one_call_upstream(calm):
    assert calm["waited_p50_s"] == pytest.approx(0.3)
    assert calm["calls_by_trigger"]["request"] > 0


def test_a_budget_is_kept_whatever_is_asked():
    scarce = Day(replace(CALM, seen=0.5, rate_a_minute=1)).run()

    # A ninth of a minute's calls may lie ready at the hour's beginning.
    assert max(scarce["calls_an_hour"]) <= 61
    assert scarce["refusals"] > 0
    assert scarce["overdue_max_s"] > 60


def test_idle_pairs_cost_no_call_unless_all_are_kept_fresh(calm):
    nobody = replace(CALM, seen=0.0, users=400)
    assert Day(nobody).run()["calls"] < 40

    kept_fresh = Day(replace(nobody, rate_a_minute=100), Terms(ahead_all=True)).run()

    assert kept_fresh["calls"] >= 10 * Day(nobody).run()["calls"]


def test_visits_fall_into_their_day_and_follow_office_hours_where_the_user_lives():
    drawn = list(visits(20_000, 0.5, 0.0, random.Random(3)))

    assert all(0 <= visit.begins_s < DAY_S for visit in drawn)
    by_hour = [sum(int(visit.begins_s // 3600) == hour for visit in drawn) for hour in range(24)]
    assert max(by_hour) > 4 * min(by_hour)
    assert len(HOURS) == 24


def test_a_quantile_is_one_of_the_values():
    assert quantile([], 0.5) == 0.0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0] * 99 + [9.0], 0.99) == 9.0
