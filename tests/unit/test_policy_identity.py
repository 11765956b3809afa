"""Which tokens still identify their user, to the microsecond: revokes, windows and bindings."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.model import Binding
from service.broker.policy import Terms, bound_until, cached_until, counts_until, refusal_of
from tests.support.builders import DAY, HOUR, NOON, TICK, a_current, an_entry

TERMS = Terms()


def refused(entry=None, at=NOON, *, bound=True, terms=TERMS, **changes):
    return refusal_of(entry or an_entry(), a_current(**changes), at, terms, bound=bound)


@pytest.mark.parametrize(
    ("generation", "reason"), [(5, "revoked"), (6, "revoked"), (7, None)], ids=["older", "revoked", "newer"]
)
def test_a_revoke_ends_every_generation_up_to_its_own(generation, reason):
    assert refused(an_entry(generation), not_before_generation=6) == reason


def test_a_revoke_is_told_before_any_other_reason():
    assert refused(an_entry(7, counts_until=NOON), not_before_generation=7) == "revoked"


@pytest.mark.parametrize(("left", "reason"), [(TICK, None), (0 * TICK, "window"), (-DAY, "window")])
def test_a_token_identifies_its_user_until_its_window_ends(left, reason):
    assert refused(an_entry(counts_until=NOON + left)) == reason


@pytest.mark.parametrize(("generation", "reason"), [(7, None), (6, "superseded")])
def test_without_a_superseded_window_only_the_current_token_counts(generation, reason):
    terms = replace(TERMS, superseded_window=timedelta(0))
    assert refused(an_entry(generation), terms=terms) == reason


@pytest.mark.parametrize(("bound", "reason"), [(True, "binding"), (False, None)])
def test_only_the_refresh_endpoint_asks_whether_the_app_vouched_of_late(bound, reason):
    at = NOON + TERMS.binding_idle
    assert refused(an_entry(counts_until=at + DAY), at, bound=bound) == reason
    assert refused(an_entry(counts_until=at + DAY), at - TICK, bound=bound) is None


@pytest.mark.parametrize(
    ("refreshed_at", "until"),
    [
        (None, NOON + 7 * DAY),
        (NOON - DAY, NOON + 7 * DAY),
        (NOON + 3 * DAY, NOON + 10 * DAY),
        (NOON + 23 * DAY, NOON + 30 * DAY),
        (NOON + 29 * DAY, NOON + 30 * DAY),
    ],
)
def test_refreshing_slides_the_idle_limit_and_never_the_absolute_one(refreshed_at, until):
    assert bound_until(Binding(NOON, refreshed_at), TERMS) == until


@given(st.lists(st.timedeltas(0 * HOUR, 9 * DAY), max_size=20), st.timedeltas(0 * HOUR, 40 * DAY))
def test_however_often_browsers_refresh_the_absolute_limit_is_where_it_was(gaps, asked_after):
    """Each refresh comes while the one before it still counted, which is all that lets it in."""
    binding = Binding(NOON)
    for gap in gaps:
        at = (binding.refreshed_at or NOON) + gap
        if at < bound_until(binding, TERMS):
            binding = Binding(NOON, at)
    admitted = refused(an_entry(counts_until=NOON + 99 * DAY), NOON + asked_after, binding=binding) is None
    assert bound_until(binding, TERMS) <= NOON + TERMS.binding_absolute
    assert admitted is (asked_after < bound_until(binding, TERMS) - NOON)


def test_a_cache_says_whose_a_token_is_no_longer_than_any_door_would():
    entry = an_entry(counts_until=NOON + 8 * DAY)
    assert cached_until(entry, Binding(NOON), TERMS) == NOON + 7 * DAY
    assert cached_until(entry, Binding(NOON, NOON + 3 * DAY), TERMS) == NOON + 8 * DAY


@pytest.mark.parametrize(("window", "counted"), [(HOUR, HOUR), (7 * DAY, 7 * DAY), (0 * HOUR, DAY)])
def test_a_token_counts_for_its_window_and_without_one_for_a_day(window, counted):
    assert counts_until(NOON, replace(TERMS, superseded_window=window)) == NOON + counted
