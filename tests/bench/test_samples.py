"""Which bursts count, and what a figure comes to: the 95 % rule, wrong answers, the path, percentiles."""

import math

import pytest

from bench.samples import UNTIMED, Burst, Rules, ratio, spread, summarize

RULES = Rules(least=3)


def a_burst(number=1, *, answers=1000, core=1.0, wrong=0, **more):
    return Burst(number, answers, wrong, seconds=0.25, server_cpu_s=0.25 * core, p50_ms=3, p99_ms=6, **more)


def bursts(*answers, **changes):
    return [a_burst(number, answers=one, **changes) for number, one in enumerate(answers, start=1)]


def test_bursts_of_a_busy_server_make_a_figure():
    found = summarize(bursts(1000, 1000, 1000, core=0.95), RULES)

    assert found.stands
    assert found.rate == 4000
    assert found.cpu_us == pytest.approx(237.5)


def test_bursts_in_which_the_server_had_its_core_for_less_than_95_percent_make_none():
    found = summarize(bursts(*[1000] * 20, core=0.94), RULES)

    assert not found.stands
    assert "0 of 20 bursts count" in found.why
    assert "94% of its core" in found.why


def test_an_idle_burst_is_left_out_of_the_figure():
    found = summarize([*bursts(1000, 1000, 1000), a_burst(4, answers=9000, core=0.5)], RULES)

    assert (found.rate, found.refused) == (4000, 1)


def test_too_few_bursts_that_count_make_no_figure():
    assert not summarize(bursts(1000, 1000), RULES).stands


def test_one_wrong_answer_anywhere_makes_no_figure():
    found = summarize([*bursts(*[1000] * 20), a_burst(21, wrong=1)], RULES)

    assert found.why == "1 answers were wrong"


def test_answers_that_took_another_path_make_no_figure():
    found = summarize(bursts(*[1000] * 5, on_path=0.9), RULES)

    assert "90% of the answers came from where they should" in found.why


def test_a_quick_run_wants_right_answers_and_no_speed():
    assert summarize([a_burst(core=0.01, on_path=0.2)], UNTIMED).stands
    assert not summarize([a_burst(wrong=1)], UNTIMED).stands
    assert not summarize([a_burst(answers=0)], UNTIMED).stands


def test_a_rate_is_the_90th_percentile_and_the_usual_one_the_median():
    found = summarize(bursts(*range(100, 1200, 100)), RULES)

    assert found.rate == 4000
    assert found.usual_rate == 2400


def test_a_ratio_has_the_spread_of_the_rounds_that_both_played():
    one = summarize(bursts(200, 300, 400), RULES)
    other = summarize(bursts(100, 100, 100, 1), RULES)

    assert ratio(one, other) == pytest.approx(3.8)
    assert spread(one, other) == pytest.approx((2.2, 3.8))


def test_without_a_common_round_there_is_no_spread():
    one, other = summarize([a_burst(1)], UNTIMED), summarize([a_burst(2)], UNTIMED)

    assert all(map(math.isnan, spread(one, other)))


def test_what_is_refused_names_how_busy_the_other_core_was():
    found = summarize(bursts(1000, core=0.8, rest_share=0.97), Rules(least=1))
    assert "the generator and the stores 97%" in found.why
