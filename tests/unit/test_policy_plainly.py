"""The quick question of the short way never says yes where the whole decision is anything but to serve."""

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.broker.model import Marks
from service.broker.policy import Asked, Decision, Presented, Terms, on_read, plainly_served
from tests.support.builders import HOUR, MINUTE, NOON, SECOND, TICK, a_current

NOT_ITSELF = (Presented.NOTHING, Presented.SUPERSEDED)
TERMS = Terms()
SPANS = st.sampled_from([timedelta(0), TICK, SECOND, 15 * SECOND, MINUTE, HOUR]) | st.timedeltas(
    timedelta(0), 2 * HOUR
)
LIVES = st.sampled_from([timedelta(0), TICK, MINUTE, 2 * HOUR]) | st.timedeltas(timedelta(0), 2 * HOUR)


def decisions(current, now, terms):
    """What the broker decides for whoever does not present that very token."""
    return {on_read(current, Marks(), Asked(presented), now, terms) for presented in NOT_ITSELF}


@st.composite
def reads(draw):
    """A token of any life, to be refreshed at any time of it, at an instant that is often near an edge."""
    lifetime, terms = draw(SPANS), Terms(min_life=draw(LIVES))
    current = a_current(issued_at=NOON, expires_at=NOON + lifetime, refresh_at=NOON + draw(SPANS))
    edges = (
        current.refresh_at,
        current.expires_at,
        current.expires_at - terms.min_life,
        NOON + lifetime * 3 / 4,
    )
    now = draw(st.sampled_from(edges)) + draw(st.sampled_from([-1, 0, 1]) | st.integers(-9, 9)) * TICK
    return current, now, terms


@settings(deadline=None)
@given(reads())
@example((a_current(), NOON, TERMS))
@example((a_current(expires_at=NOON + MINUTE), NOON, TERMS))
@example((a_current(expires_at=NOON), NOON, Terms(min_life=timedelta(0))))
def test_what_is_plainly_served_is_served_by_the_whole_decision(read):
    if plainly_served(*read):
        assert decisions(*read) == {Decision.SERVE}


@settings(deadline=None)
@given(reads())
def test_but_for_the_last_of_its_life_it_says_so_of_all_that_is_served(read):
    current, now, terms = read
    if decisions(*read) == {Decision.SERVE} and current.expires_at - now > terms.min_life:
        assert plainly_served(*read)


REFRESH_AT, ENDS_AT = a_current().refresh_at, a_current().expires_at


@pytest.mark.parametrize(
    ("now", "served"),
    [
        (NOON, True),
        (REFRESH_AT - TICK, True),
        (REFRESH_AT, False),
        (ENDS_AT - MINUTE, False),
        (ENDS_AT, False),
    ],
)
def test_it_ends_with_the_instant_at_which_the_pair_is_to_be_refreshed(now, served):
    assert plainly_served(a_current(), now, TERMS) is served


@pytest.mark.parametrize(("early", "served"), [(TICK, True), (timedelta(0), False), (-TICK, False)])
def test_it_ends_where_the_least_life_of_an_answer_begins(early, served):
    late = a_current(refresh_at=ENDS_AT)
    assert plainly_served(late, ENDS_AT - TERMS.min_life - early, TERMS) is served
