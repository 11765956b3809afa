"""The client's short memory: for how long a token is given again without asking, and when it no longer is."""

from datetime import UTC, datetime, timedelta

import pytest
from token_broker_client import Token
from token_broker_client.cache import MOST_ENTRIES, Cache
from token_broker_client.patience import Patience
from token_broker_client.token import life_s

from tests.support.cached import StoppedClock
from tests.support.scripted_broker import BETTER, HELD, good, scripted


def a_token(name=HELD, generation=1):
    return Token(name, datetime(2030, 1, 1, tzinfo=UTC), 7, generation)


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def cache(clock):
    return Cache(2.0, clock.monotonic)


@pytest.mark.parametrize(
    ("life_s", "min_ttl", "after_s", "found"),
    [
        (3600, 0, 1.9, True),
        (3600, 0, 2.0, False),
        (121, 120, 0.5, True),
        (121, 120, 1.0, False),
        (121, 60, 1.9, True),
        (1.5, 0, 1.4, True),
        (1.5, 0, 1.5, False),
        (-5, 0, 0.0, False),
    ],
)
def test_a_token_is_kept_for_a_moment_and_never_past_its_life_or_what_was_asked(
    cache, clock, life_s, min_ttl, after_s, found
):
    cache.put("anna", a_token(), clock.monotonic(), life_s)
    clock.advance(after_s)
    assert (cache.find("anna", min_ttl) is not None) is found


def test_a_token_that_was_refused_is_not_given_again_nor_taken_up_while_it_is_looked_into(cache, clock):
    cache.put("anna", a_token(), clock.monotonic(), 3600)
    cache.refuse("anna", HELD)
    assert cache.find("anna", 0) is None
    cache.put("anna", a_token(), clock.monotonic(), 3600)
    assert cache.find("anna", 0) is None
    cache.settle("anna", HELD)
    cache.put("anna", a_token(), clock.monotonic(), 3600)
    assert cache.find("anna", 0) == a_token()


def test_a_complaint_about_an_older_token_takes_nothing_away(cache, clock):
    cache.put("anna", a_token(BETTER, 2), clock.monotonic(), 3600)
    cache.refuse("anna", HELD)
    assert cache.find("anna", 0) == a_token(BETTER, 2)


def test_an_answer_that_was_late_does_not_take_a_newer_ones_place(cache, clock):
    cache.put("anna", a_token(BETTER, 2), clock.monotonic(), 3600)
    cache.put("anna", a_token(HELD, 1), clock.monotonic(), 3600)
    assert cache.find("anna", 0) == a_token(BETTER, 2)


def test_it_does_not_grow_without_end(cache, clock):
    for number in range(MOST_ENTRIES + 1):
        cache.put(f"u{number}", a_token(), clock.monotonic(), 3600)
    assert cache.find("u0", 0) is None
    assert cache.find("u1", 0) is not None


@pytest.mark.parametrize("ahead_s", [-7200, 0, 7200])
async def test_a_clock_that_is_off_here_or_there_changes_nothing(ahead_s):
    answer = good(life_s=100, clock_ahead_s=ahead_s)
    async with scripted(answer) as it, it.client(keep_s=60) as broker:
        for min_ttl in (0, 90, 90):
            await broker.token("anna", min_ttl=min_ttl)
        assert len(it.asked) == 1
        await broker.token("anna", min_ttl=100)
    assert len(it.asked) == 2


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 9999999999999999999 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:00 +99999999999"]
)
def test_a_date_that_no_clock_can_show_counts_as_none(date):
    token = Token("x" * 20, datetime.now(UTC) + timedelta(seconds=90), 1, 1)
    assert life_s(token, {"Date": date}) == pytest.approx(90, abs=1)


async def test_each_user_has_a_place_of_its_own():
    async with scripted(good(HELD), good(BETTER)) as it, it.client(keep_s=60) as broker:
        first, second = await broker.token("anna"), await broker.token("bert")
        assert (await broker.token("anna"), await broker.token("bert")) == (first, second)
        broker.forget("anna")
        await broker.token("anna")
    assert len(it.asked) == 3


def test_pauses_grow_and_are_not_alike_and_what_the_broker_says_is_never_cut_short(clock):
    def patience(roll):
        return Patience(clock.monotonic, 100.0, clock.monotonic(), lambda: roll)

    early, late = patience(0.0), patience(1.0)
    assert [early.pause_s(None) for _ in range(3)] == [0.05, 0.1, 0.2]
    assert [late.pause_s(None) for _ in range(8)][-1] == 5.0
    assert (patience(0.0).pause_s(8), patience(1.0).pause_s(8)) == (8, 10)
    assert patience(0.0).pause_s(100) is None
