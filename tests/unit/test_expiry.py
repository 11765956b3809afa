"""When a pair expires, out of what its tokens state: hints, believed only where they are plausible."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.expiry import lifetime_of, place_enrolled, place_minted, refresh_at
from service.broker.model import Stated
from tests.support.builders import DAY, HOUR, MARGIN, MINUTE, NOON, SECOND, TICK, a_minted

EPOCH = datetime.fromtimestamp(0, UTC)
CAUTIOUS = 54 * MINUTE
LAST = datetime.max.replace(tzinfo=UTC)


def minted_at_noon(minted, roll=0.0, configured=HOUR):
    return place_minted(minted, NOON, configured=configured, margin=MARGIN, roll=roll)


def enrolled_at_noon(minted, roll=0.0, configured=HOUR):
    return place_enrolled(minted, NOON, configured=configured, margin=MARGIN, roll=roll)


@pytest.mark.parametrize("life", [SECOND, 20 * SECOND, HOUR, 24 * HOUR])
def test_a_stated_end_gives_the_lifetime_whatever_upstreams_clock_says(life):
    long_ago = NOON - 2000 * DAY
    assert lifetime_of(Stated(issued_at=long_ago, ends_at=long_ago + life), HOUR) == (life, False)


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        (Stated(), "nothing is stated"),
        (Stated(ends_at=NOON + HOUR), "its beginning is missing"),
        (Stated(issued_at=NOON, ends_at=NOON), "it ends as it begins"),
        (Stated(issued_at=NOON, ends_at=NOON - TICK), "it ends before it begins"),
        (Stated(issued_at=NOON, ends_at=EPOCH + 1_709_000 * SECOND), "seconds were read as ms"),
        (Stated(issued_at=NOON, ends_at=EPOCH - DAY), "it ends before 1970"),
        (Stated(issued_at=NOON, ends_at=NOON + 24 * HOUR + TICK), "over 24 configured lifetimes"),
        (Stated(issued_at=NOON, ends_at=NOON + 3650 * DAY), "ten years ahead"),
        (Stated(issued_at=EPOCH, ends_at=NOON + HOUR), "its beginning is in 1970"),
        (Stated(issued_at=EPOCH, ends_at=LAST), "all there is of time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_plausible_counts_as_nine_tenths_of_the_configured_lifetime(stated, why):
    assert lifetime_of(stated, HOUR) == (CAUTIOUS, True)


@pytest.mark.parametrize(
    ("second", "lifetime"),
    [(0, HOUR), (1, HOUR - SECOND), (30, HOUR - 30 * SECOND), (59, HOUR - 59 * SECOND)],
)
def test_without_a_stated_end_the_configured_one_is_floored_to_the_minute(second, lifetime):
    assert lifetime_of(Stated(issued_at=NOON + second * SECOND), HOUR) == (lifetime, False)


@pytest.mark.parametrize(("second", "lifetime"), [(0.0, 60), (0.25, 59.75), (0.5, 59.5), (1.0, 60)])
def test_the_floor_scales_with_a_short_lifetime(second, lifetime):
    issued_at = NOON + second * SECOND
    assert lifetime_of(Stated(issued_at=issued_at), MINUTE) == (lifetime * SECOND, False)


def test_the_floor_of_a_lifetime_too_short_to_be_divided_is_a_microsecond():
    assert lifetime_of(Stated(issued_at=NOON), 21 * TICK) == (21 * TICK, False)


def test_a_beginning_at_the_end_of_time_is_not_plausible_either():
    assert lifetime_of(Stated(issued_at=LAST), HOUR) == (CAUTIOUS, True)


def test_a_minted_pair_lives_from_the_instant_its_call_was_sent():
    upstreams_noon = NOON + 5 * MINUTE
    placed = minted_at_noon(a_minted(issued_at=upstreams_noon, ends_at=upstreams_noon + HOUR))
    assert (placed.pair.issued_at, placed.pair.expires_at) == (NOON, NOON + HOUR)
    assert placed.implausible is False


def test_a_pair_that_states_nothing_is_used_with_care_and_an_alarm():
    placed = minted_at_noon(a_minted())
    assert (placed.pair.expires_at, placed.implausible) == (NOON + CAUTIOUS, True)


def test_a_placed_pair_keeps_its_tokens():
    minted = a_minted("kept", issued_at=NOON)
    for placed in (minted_at_noon(minted), enrolled_at_noon(minted), enrolled_at_noon(a_minted("kept"))):
        tokens = (placed.pair.access_token, placed.pair.refresh_token)
        assert tokens == (minted.access_token, minted.refresh_token)


@pytest.mark.parametrize(
    ("stated", "kept"),
    [(None, None), (NOON + 365 * DAY, NOON + 365 * DAY), (NOON, None), (NOON - DAY, None), (EPOCH, None)],
)
def test_a_refresh_tokens_end_is_kept_only_when_it_lies_ahead(stated, kept):
    placed = minted_at_noon(a_minted(issued_at=NOON, refresh_token_ends_at=stated))
    assert placed.pair.refresh_token_expires_at == kept


@pytest.mark.parametrize("age", [0 * MINUTE, 20 * MINUTE, HOUR, 30 * DAY])
def test_an_enrolled_pair_has_lived_since_it_was_issued(age):
    issued_at = NOON - age
    placed = enrolled_at_noon(a_minted(issued_at=issued_at, ends_at=issued_at + HOUR))
    assert (placed.pair.issued_at, placed.pair.expires_at) == (issued_at, issued_at + HOUR)
    assert placed.implausible is False


@pytest.mark.parametrize("ahead", [TICK, 5 * MINUTE, 3650 * DAY])
def test_an_enrolled_pair_from_the_future_lives_from_now_on(ahead):
    issued_at = NOON + ahead
    placed = enrolled_at_noon(a_minted(issued_at=issued_at, ends_at=issued_at + HOUR))
    assert (placed.pair.issued_at, placed.pair.expires_at) == (NOON, NOON + HOUR)


def test_an_enrolled_pair_of_unknown_age_counts_as_expired_now():
    placed = enrolled_at_noon(a_minted(ends_at=NOON + HOUR))
    assert (placed.pair.issued_at, placed.pair.expires_at) == (NOON - HOUR, NOON)
    assert placed.implausible is True


@pytest.mark.parametrize(("roll", "before"), [(0.0, 10 * MINUTE), (0.5, 12.5 * MINUTE), (1.0, 15 * MINUTE)])
def test_a_pair_becomes_stale_a_margin_to_one_and_a_half_before_it_expires(roll, before):
    assert refresh_at(NOON, HOUR, MARGIN, roll) == NOON - before


@pytest.mark.parametrize("lifetime", [20 * SECOND, MINUTE, 20 * MINUTE])
@pytest.mark.parametrize("roll", [0.0, 0.999])
def test_a_short_lived_pair_becomes_stale_at_half_its_life(lifetime, roll):
    assert refresh_at(NOON, lifetime, MARGIN, roll) == NOON - lifetime / 2


@pytest.mark.parametrize("configured", [20 * SECOND, MINUTE])
def test_a_sandbox_pair_is_placed_as_a_real_one_is(configured):
    pair = minted_at_noon(a_minted(issued_at=NOON), configured=configured).pair
    assert configured * 59 / 60 <= pair.lifetime <= configured
    assert pair.expires_at - pair.refresh_at == pair.lifetime / 2


ROLLS = st.floats(0, 1, exclude_max=True)
MILLISECOND = timedelta(milliseconds=1)
# Tokens state whole seconds or milliseconds; the years end where the floor's own overflow begins (above).
INSTANTS = st.none() | st.integers(1, 253_000_000_000_000).map(lambda ms: EPOCH + ms * MILLISECOND)
ANYTHING = st.builds(a_minted, issued_at=INSTANTS, ends_at=INSTANTS, refresh_token_ends_at=INSTANTS)
NEAR = st.timedeltas(-2 * DAY, 2 * DAY).map(lambda after: NOON + after)
LIKELY = st.builds(a_minted, issued_at=NEAR, ends_at=st.none() | NEAR)
LIFETIMES = st.timedeltas(SECOND, 30 * DAY)


@given(ANYTHING | LIKELY, LIFETIMES, ROLLS)
def test_whatever_is_stated_a_minted_pair_has_a_plausible_life_from_now(minted, configured, roll):
    pair = minted_at_noon(minted, roll, configured).pair
    assert pair.issued_at == NOON
    assert timedelta(0) < pair.lifetime <= 24 * configured


@given(ANYTHING | LIKELY, LIFETIMES, ROLLS)
def test_whatever_is_stated_an_enrolled_pair_was_not_issued_in_the_future(minted, configured, roll):
    pair = enrolled_at_noon(minted, roll, configured).pair
    assert pair.issued_at <= NOON
    assert timedelta(0) < pair.lifetime <= 24 * configured


@given(st.timedeltas(MILLISECOND, 30 * DAY), st.timedeltas(SECOND, DAY), ROLLS)
def test_a_pair_becomes_stale_in_the_second_half_of_its_life_and_before_it_expires(lifetime, margin, roll):
    stale_at = refresh_at(NOON + lifetime, lifetime, margin, roll)
    assert NOON + lifetime / 2 - TICK <= stale_at < NOON + lifetime
