"""What a caller gets, to the microsecond: freshness, and the decision on read."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.errors import GrantDead, GrantPaused, UserUnknown
from service.broker.model import GrantState, Marks
from service.broker.policy import (
    Asked,
    Decision,
    Freshness,
    Presented,
    Terms,
    confirmation_holds,
    freshness_of,
    min_life,
    on_read,
    require_live,
    settling,
)
from tests.support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    TICK,
    a_current,
    a_grant,
    a_pair,
)

TERMS = Terms()
FRESH, STALE, EXPIRED = NOON, NOON + 50 * MINUTE, NOON + 59 * MINUTE
NOTHING, SUPERSEDED, CURRENT = Presented
SERVE, SERVE_AND_REFRESH, CONFIRM, MUST_REFRESH = Decision
SERVED = (SERVE, SERVE_AND_REFRESH)
DISTRUSTED = Marks(distrusted_until=NOON)


def read(presented=NOTHING, at=FRESH, marks=None, terms=TERMS, current=None, **how):
    return on_read(current or a_current(), marks or Marks(), Asked(presented, **how), at, terms)


@pytest.mark.parametrize(
    ("presented", "at", "decision"),
    [
        (NOTHING, FRESH, SERVE),
        (NOTHING, STALE, SERVE_AND_REFRESH),
        (NOTHING, EXPIRED, MUST_REFRESH),
        (SUPERSEDED, FRESH, SERVE),
        (SUPERSEDED, STALE, SERVE_AND_REFRESH),
        (SUPERSEDED, EXPIRED, MUST_REFRESH),
        (CURRENT, FRESH, CONFIRM),
        (CURRENT, STALE, MUST_REFRESH),
        (CURRENT, EXPIRED, MUST_REFRESH),
    ],
)
def test_without_marks_the_token_shown_and_its_freshness_decide(presented, at, decision):
    assert read(presented, at) is decision


@pytest.mark.parametrize("presented", Presented)
@pytest.mark.parametrize("mark", ["refused", "force_pending"])
@pytest.mark.parametrize("how", [{}, {"confirmed_now": True}, {"confirmed_lately": True}])
def test_a_refused_or_forced_grant_is_refreshed_before_anybody_is_answered(presented, mark, how):
    assert read(presented, marks=Marks(**{mark: True}), **how) is MUST_REFRESH


@pytest.mark.parametrize(("presented", "at"), [*product((NOTHING, SUPERSEDED), (FRESH, STALE))])
def test_in_a_distrust_window_every_answer_needs_a_confirmation(presented, at):
    assert read(presented, at, DISTRUSTED) is CONFIRM
    assert read(presented, at, DISTRUSTED, confirmed_now=True) is SERVE


def test_a_distrust_window_that_is_over_still_needs_its_confirmation():
    assert read(at=STALE, marks=Marks(distrusted_until=NOON - DAY)) is CONFIRM


def test_a_dead_refresh_token_does_not_keep_a_good_access_token_from_being_served():
    assert read(SUPERSEDED, marks=Marks(refresh_token_dead=True)) is SERVE


def test_a_confirmed_token_is_handed_back_and_a_second_complaint_rotates():
    assert read(CURRENT, confirmed_now=True) is SERVE
    assert read(CURRENT, confirmed_lately=True) is MUST_REFRESH


@pytest.mark.parametrize(("left", "decision"), [(20 * MINUTE, SERVE), (20 * MINUTE - TICK, MUST_REFRESH)])
def test_who_asks_for_more_life_than_is_left_has_it_refreshed(left, decision):
    at = a_current().expires_at - left
    assert read(at=at, min_ttl=20 * MINUTE) is decision


@pytest.mark.parametrize(
    ("at", "freshness"),
    [
        (NOON, Freshness.FRESH),
        (NOON + 50 * MINUTE - TICK, Freshness.FRESH),
        (NOON + 50 * MINUTE, Freshness.STALE),
        (NOON + 59 * MINUTE - TICK, Freshness.STALE),
        (NOON + 59 * MINUTE, Freshness.EXPIRED),
        (NOON + 9 * HOUR, Freshness.EXPIRED),
    ],
)
def test_freshness_changes_at_the_very_microsecond(at, freshness):
    assert freshness_of(a_pair(), at, TERMS) is freshness
    assert freshness_of(a_current(), at, TERMS) is freshness


def test_a_pair_with_too_little_life_is_expired_although_it_never_was_stale():
    pair = a_pair(refresh_at=NOON + HOUR - SECOND)
    assert freshness_of(pair, NOON + HOUR - 2 * SECOND, TERMS) is Freshness.EXPIRED


@pytest.mark.parametrize(
    ("lifetime", "least"),
    [(HOUR, MINUTE), (4 * MINUTE, MINUTE), (4 * MINUTE - 4 * TICK, MINUTE - TICK), (20 * SECOND, 5 * SECOND)],
)
def test_the_least_life_is_capped_at_a_quarter_of_the_lifetime(lifetime, least):
    assert min_life(lifetime, TERMS) == least


@pytest.mark.parametrize(
    ("lifetime", "young", "wait"),
    [
        (HOUR, 10 * SECOND, 2 * SECOND),
        (20 * SECOND, SECOND, 0.5 * SECOND),
        (200 * SECOND, 10 * SECOND, 2 * SECOND),
    ],
)
def test_a_pair_is_young_for_ten_seconds_or_a_twentieth_of_its_life(lifetime, young, wait):
    assert settling(lifetime) == (young, wait)


@pytest.mark.parametrize(("lifetime", "holds"), [(HOUR, 30 * SECOND), (20 * SECOND, 5 * SECOND)])
def test_a_confirmation_holds_for_half_a_minute_or_a_quarter_of_the_lifetime(lifetime, holds):
    assert confirmation_holds(lifetime) == holds


def test_a_live_grant_comes_back_as_it_is():
    grant = a_grant()
    assert require_live(grant) is grant


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (None, UserUnknown),
        (a_grant(state=GrantState.DEAD, reason="user_gone"), GrantDead),
        (a_grant(state=GrantState.PAUSED, reason="paused"), GrantPaused),
    ],
)
def test_a_grant_that_is_not_live_is_named_by_its_error(grant, error):
    with pytest.raises(error):
        require_live(grant)


def test_a_dead_grant_says_why_it_is_dead():
    with pytest.raises(GrantDead, match=r"\(user_gone\)"):
        require_live(a_grant(state=GrantState.DEAD, reason="user_gone"))


def test_the_terms_are_those_of_the_settings_defaults():
    assert Terms() == Terms(
        refresh_margin=10 * MINUTE,
        min_life=60 * SECOND,
        access_token_lifetime=60 * MINUTE,
        superseded_window=DAY,
        binding_idle=7 * DAY,
        binding_absolute=30 * DAY,
        ahead_all=False,
        upstream_timeout=10 * SECOND,
        database_timeout=3 * SECOND,
        claim_deadline=20 * SECOND,
        user_rotations_per_s=6 / 60,
    )


def test_a_flight_waits_a_lost_claim_out_and_retakes_it_once():
    assert TERMS.flight_limit == timedelta(seconds=20 + 10 + 3)


LIFETIMES = st.timedeltas(min_value=SECOND, max_value=30 * DAY)
MARKS = st.builds(
    Marks,
    refused=st.booleans(),
    distrusted_until=st.none() | st.just(NOON),
    refresh_token_dead=st.booleans(),
    force_pending=st.booleans(),
)
ASKED = st.builds(
    Asked,
    presented=st.sampled_from(Presented),
    min_ttl=st.timedeltas(min_value=timedelta(0), max_value=2 * HOUR),
    confirmed_now=st.booleans(),
    confirmed_lately=st.booleans(),
)


@st.composite
def reads(draw):
    """Any read there is: (current, marks, asked, now), with `now` often near an edge."""
    pair = a_pair(lifetime=draw(LIFETIMES))
    edge = draw(st.sampled_from([pair.refresh_at, pair.expires_at, pair.issued_at]))
    now = edge + draw(st.timedeltas(min_value=-2 * HOUR, max_value=2 * HOUR))
    return a_grant(pair=pair).current(), draw(MARKS), draw(ASKED), now


@given(reads())
def test_the_presented_current_token_is_never_handed_back_unless_just_confirmed(case):
    current, marks, asked, now = case
    if asked.presented is CURRENT and on_read(current, marks, asked, now, TERMS) in SERVED:
        assert asked.confirmed_now


@given(reads())
def test_no_answer_has_less_life_than_was_promised(case):
    current, marks, asked, now = case
    if on_read(current, marks, asked, now, TERMS) in SERVED:
        left = current.expires_at - now
        assert left > min_life(current.lifetime, TERMS)
        assert left >= asked.min_ttl


@given(reads())
def test_nothing_marked_is_served_unseen(case):
    current, marks, asked, now = case
    if on_read(current, marks, asked, now, TERMS) in SERVED:
        assert (marks.refused, marks.force_pending) == (False, False)
        assert asked.confirmed_now or not marks.distrusted


@given(reads())
def test_a_confirmation_is_asked_for_once_at_most(case):
    current, marks, asked, now = case
    assert on_read(current, marks, replace(asked, confirmed_now=True), now, TERMS) is not CONFIRM
