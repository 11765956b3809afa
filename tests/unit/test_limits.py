"""Token buckets: a burst, a steady refill, no memory without end, and 0 as "no limit"."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.limits import Limits
from tests.support.builders import HOUR, MINUTE, NOON, SECOND

SIX_A_MINUTE = 0.1


def taken(limits, count, key="anna", at=NOON):
    return [limits.take(key, at) for _ in range(count)]


def test_a_minutes_worth_may_be_taken_at_once_and_then_no_more():
    assert taken(Limits(SIX_A_MINUTE), 8) == [0.0] * 6 + [10.0] * 2


def test_a_burst_of_its_own_may_be_set():
    assert taken(Limits(1 / 5, burst=1), 2) == [0.0, 5.0]


@pytest.mark.parametrize("burst", [None, 0.0, 0.5])
def test_one_can_always_be_taken_however_low_the_limit(burst):
    limits = Limits(1 / 3600, burst=burst)
    assert limits.take("anna", NOON) == 0.0
    assert limits.take("anna", NOON) == pytest.approx(3600)


def test_after_the_time_that_was_named_there_is_one_and_only_one():
    limits = Limits(SIX_A_MINUTE)
    taken(limits, 6)
    assert limits.take("anna", NOON + 4 * SECOND) == pytest.approx(6)
    assert limits.take("anna", NOON + 10 * SECOND) == 0.0
    assert limits.take("anna", NOON + 10 * SECOND) == pytest.approx(10)


def test_asking_in_vain_costs_nothing():
    limits = Limits(SIX_A_MINUTE)
    taken(limits, 500)
    assert limits.take("anna", NOON + 10 * SECOND) == 0.0


def test_what_is_not_taken_does_not_add_up_beyond_the_burst():
    limits = Limits(SIX_A_MINUTE)
    taken(limits, 6)
    assert taken(limits, 7, at=NOON + 24 * HOUR)[5:] == [0.0, pytest.approx(10)]


def test_every_key_has_a_bucket_of_its_own():
    limits = Limits(1 / 5, burst=1)
    assert [limits.take(key, NOON) for key in ("anna", "bert", "anna")] == [0.0, 0.0, 5.0]


@pytest.mark.parametrize("per_s", [0, -1])
def test_nought_is_no_limit(per_s):
    assert taken(Limits(per_s), 1000) == [0.0] * 1000


def test_a_clock_that_is_set_back_refills_nothing():
    limits = Limits(SIX_A_MINUTE)
    taken(limits, 6)
    assert limits.take("anna", NOON - HOUR) == pytest.approx(10)


def test_the_key_that_was_not_asked_for_longest_is_forgotten_first():
    limits = Limits(1 / 60, burst=1, most_keys=2)
    for key in ("anna", "bert", "anna", "carl"):
        limits.take(key, NOON)
    waits = {key: limits.take(key, NOON) > 0 for key in ("anna", "carl")}
    assert waits == {"anna": True, "carl": True}
    assert limits.take("bert", NOON) == 0.0


def test_memory_is_bounded_by_the_number_of_keys():
    limits = Limits(1, most_keys=10)
    for number in range(1000):
        limits.take(number, NOON)
    assert len(limits._buckets) == 10


GAPS = st.lists(st.timedeltas(timedelta(0), MINUTE), min_size=1, max_size=60)


@given(GAPS, st.floats(0.01, 10))
def test_over_any_time_no_more_is_given_than_the_burst_and_the_refill(gaps, per_s):
    limits, now, given_out = Limits(per_s, burst=3), NOON, 0
    for gap in gaps:
        now += gap
        given_out += limits.take("anna", now) == 0.0
    assert given_out <= 3 + per_s * (now - NOON).total_seconds() + 1e-6


@given(GAPS, st.floats(0.01, 10))
def test_who_waits_as_long_as_told_in_whole_seconds_is_let_through(gaps, per_s):
    limits, now = Limits(per_s, burst=2), NOON
    for gap in gaps:
        now += gap
        wait_s = limits.take("anna", now)
        if wait_s > 0:
            now += math.ceil(wait_s) * SECOND
            assert limits.take("anna", now) == 0.0
