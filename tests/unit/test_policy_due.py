"""When the worker has something to do for a grant, what it does then, and how long it backs off."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.model import GrantState, Marks, Trigger
from service.broker.policy import (
    Due,
    Terms,
    back_off,
    due_at,
    keep_alive_at,
    later,
    trigger_when_due,
    when_due,
    worth_trying,
)
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, TICK, a_claim, a_grant, a_pair

TERMS = Terms()
AHEAD_ALL = Terms(ahead_all=True)
STALE, ENDS = NOON + 50 * MINUTE, NOON + HOUR
KEEP_ALIVE = NOON + 300 * DAY
WINDOW_ENDS = NOON + 10 * MINUTE
DISTRUSTED = {"distrusted_until": WINDOW_ENDS}
FORCED = {"force_pending": True}
REFUSED = {"refused": True}
SPENT = {"refresh_token_dead": True}


@pytest.mark.parametrize(
    ("used", "marks", "instant"),
    [
        (True, {}, STALE),
        (False, {}, KEEP_ALIVE),
        (True, REFUSED, NOON),
        (False, REFUSED, KEEP_ALIVE),
        (True, FORCED, NOON),
        (False, FORCED, NOON),
        (True, SPENT, ENDS),
        (False, SPENT, ENDS),
        (True, SPENT | REFUSED, NOON),
        (True, DISTRUSTED, WINDOW_ENDS),
        (False, DISTRUSTED, KEEP_ALIVE),
        (True, {"distrusted_until": ENDS}, STALE),
    ],
)
def test_a_grant_is_due_at_its_next_instant(used, marks, instant):
    assert due_at(a_grant(marks=marks), TERMS, used=used) == instant


@pytest.mark.parametrize("marks", [{}, REFUSED, FORCED, SPENT, DISTRUSTED])
def test_a_grant_that_backs_off_is_not_due_before_its_retry(marks):
    retry_at = NOON + 2 * HOUR
    assert due_at(a_grant(marks=marks, retry_at=retry_at), TERMS, used=True) == retry_at


def test_a_retry_that_is_over_does_not_hasten_a_pair():
    assert due_at(a_grant(retry_at=NOON), TERMS, used=True) == STALE


def test_a_claimed_grant_is_due_when_the_claim_runs_out():
    grant = a_grant(claim=a_claim(), marks=FORCED)
    assert due_at(grant, TERMS, used=True) == NOON + 20 * SECOND


@pytest.mark.parametrize("state", [GrantState.DEAD, GrantState.PAUSED])
def test_a_grant_that_is_not_live_is_never_due(state):
    assert due_at(a_grant(state=state, marks=FORCED, claim=a_claim()), TERMS, used=True) is None


def test_unused_pairs_are_replaced_ahead_too_when_that_is_asked_for():
    assert due_at(a_grant(), AHEAD_ALL, used=False) == STALE


@pytest.mark.parametrize(
    ("stated_end", "instant"),
    [(None, KEEP_ALIVE), (NOON + 6 * DAY, NOON + 5 * DAY), (NOON + 360 * DAY, KEEP_ALIVE)],
)
def test_an_unused_pair_is_kept_alive_at_five_sixths_of_its_refresh_tokens_life(stated_end, instant):
    assert keep_alive_at(a_pair(refresh_token_expires_at=stated_end)) == instant


def test_a_refresh_token_that_claims_to_live_for_ten_years_is_kept_alive_all_the_same():
    assert keep_alive_at(a_pair(refresh_token_expires_at=NOON + 3650 * DAY)) == KEEP_ALIVE


UNUSED, USED = a_grant(), a_grant(first_used_at=NOON)


def marked(grant=USED, **marks):
    return replace(grant, marks=Marks(**marks))


@pytest.mark.parametrize(
    ("grant", "at", "what"),
    [
        (USED, STALE - TICK, Due.PARK),
        (USED, STALE, Due.ROTATE),
        (UNUSED, STALE, Due.PARK),
        (UNUSED, KEEP_ALIVE - TICK, Due.PARK),
        (UNUSED, KEEP_ALIVE, Due.ROTATE),
        (marked(**FORCED), NOON, Due.ROTATE),
        (marked(UNUSED, **FORCED), NOON, Due.ROTATE),
        (marked(**REFUSED), NOON, Due.ROTATE),
        (marked(**SPENT), STALE, Due.PARK),
        (marked(**SPENT), ENDS - TICK, Due.PARK),
        (marked(**SPENT), ENDS, Due.ROTATE),
        (marked(UNUSED, **SPENT), ENDS, Due.ROTATE),
        (marked(**SPENT | REFUSED), NOON, Due.ROTATE),
        (marked(**DISTRUSTED), WINDOW_ENDS - TICK, Due.PARK),
        (marked(**DISTRUSTED), WINDOW_ENDS, Due.CONFIRM),
        (marked(**DISTRUSTED), STALE, Due.ROTATE),
    ],
)
def test_what_the_worker_does_for_a_due_grant(grant, at, what):
    assert when_due(grant, at, TERMS, retaken=False) is what


@pytest.mark.parametrize("grant", [UNUSED, USED, marked(**SPENT), marked(**DISTRUSTED)])
def test_a_claim_that_was_left_is_taken_up_again_whatever_the_hour(grant):
    assert when_due(grant, NOON, TERMS, retaken=True) is Due.ROTATE


def test_the_worker_replaces_unused_pairs_ahead_when_that_is_asked_for():
    assert when_due(UNUSED, STALE, AHEAD_ALL, retaken=False) is Due.ROTATE


@pytest.mark.parametrize(
    ("marks", "at", "retaken", "trigger"),
    [
        ({}, STALE, False, Trigger.AHEAD),
        ({}, KEEP_ALIVE, False, Trigger.KEEPALIVE),
        ({}, STALE, True, Trigger.RECOVERY),
        (REFUSED, STALE, False, Trigger.RECOVERY),
        (SPENT, ENDS, False, Trigger.RECOVERY),
        (FORCED, STALE, False, Trigger.FORCED),
        (FORCED | SPENT | REFUSED, STALE, True, Trigger.FORCED),
    ],
)
def test_why_the_worker_replaces_a_pair_is_said(marks, at, retaken, trigger):
    assert trigger_when_due(a_grant(marks=marks), at, retaken=retaken) is trigger


@pytest.mark.parametrize(
    ("marks", "retry_at", "at", "worth"),
    [
        ({}, None, NOON, True),
        ({}, STALE, STALE - TICK, False),
        ({}, STALE, STALE, True),
        (REFUSED, STALE, STALE - TICK, False),
        (SPENT, None, ENDS - TICK, False),
        (SPENT, None, ENDS, True),
        (SPENT, ENDS + MINUTE, ENDS, False),
        (SPENT | REFUSED, None, NOON, True),
    ],
)
def test_what_nobody_waits_for_is_tried_only_where_it_can_help(marks, retry_at, at, worth):
    assert worth_trying(a_grant(marks=marks, retry_at=retry_at), at) is worth


@pytest.mark.parametrize(
    ("failures", "wait"),
    [(1, 30 * SECOND), (2, MINUTE), (3, 2 * MINUTE), (7, 32 * MINUTE), (8, HOUR), (500, HOUR)],
)
def test_each_failure_doubles_the_wait_up_to_an_hour(failures, wait):
    assert back_off(failures, HOUR, roll=0.5) == wait


@pytest.mark.parametrize(("roll", "wait"), [(0.0, 22.5 * SECOND), (0.5, 30 * SECOND), (1.0, 37.5 * SECOND)])
def test_waits_are_spread_by_a_quarter_to_both_sides(roll, wait):
    assert back_off(1, HOUR, roll) == wait


@pytest.mark.parametrize(("failures", "wait"), [(1, SECOND), (2, 2 * SECOND), (9, 20 * SECOND)])
def test_waits_scale_with_a_short_lifetime(failures, wait):
    assert back_off(failures, 20 * SECOND, roll=0.5) == wait


@pytest.mark.parametrize(("other", "expected"), [(None, NOON), (NOON - TICK, NOON), (ENDS, ENDS)])
def test_the_later_of_two_instants_wins_and_one_may_be_missing(other, expected):
    assert later(NOON, other) == expected


MOMENTS = st.none() | st.timedeltas(-2 * HOUR, 400 * DAY).map(lambda after: NOON + after)
MARKS = st.builds(
    Marks,
    refused=st.booleans(),
    distrusted_until=MOMENTS,
    refresh_token_dead=st.booleans(),
    force_pending=st.booleans(),
)
PAIRS = st.builds(
    a_pair,
    lifetime=st.timedeltas(SECOND, 30 * DAY),
    refresh_token_expires_at=st.none() | st.timedeltas(SECOND, 400 * DAY).map(lambda life: NOON + life),
)
GRANTS = st.builds(a_grant, pair=PAIRS, first_used_at=MOMENTS, retry_at=MOMENTS).flatmap(
    lambda grant: st.builds(replace, st.just(grant), marks=MARKS)
)


@given(GRANTS, st.booleans(), st.sampled_from([TERMS, AHEAD_ALL]))
def test_a_live_grant_is_always_due_some_time(grant, used, terms):
    assert due_at(grant, terms, used=used) is not None


@given(GRANTS, st.sampled_from([TERMS, AHEAD_ALL]))
def test_at_the_instant_a_grant_is_due_the_worker_has_something_to_do(grant, terms):
    due = due_at(grant, terms, used=grant.first_used_at is not None)
    assert when_due(grant, due, terms, retaken=False) is not Due.PARK


@given(GRANTS)
def test_no_grant_is_due_before_its_back_off_is_over(grant):
    due = due_at(grant, TERMS, used=grant.first_used_at is not None)
    assert grant.retry_at is None or due >= grant.retry_at


@given(st.integers(1, 10**6), st.timedeltas(SECOND, 400 * DAY), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_five_quarters_of_an_hour_or_of_the_lifetime(failures, lifetime, roll):
    wait = back_off(failures, lifetime, roll)
    assert 0 * SECOND < wait <= 1.25 * min(HOUR, lifetime) + TICK
    assert wait <= back_off(failures + 1, lifetime, roll)
