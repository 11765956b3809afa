"""Cal.com's real client in a real browser, against the real broker: real time, real expiries, no mock.

All stories are told at once (stories.py); a test waits for its own and looks at what was seen.
"""

import pytest

from tests.browser.stories import EXPIRIES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(480)]

NO_SPIN = 100  # requests a minute; the library makes 7,500 when it spins


def assert_served(seen, *, expiries=EXPIRIES):
    """Every call was answered in the end, the library never gave up, and nobody was asked too often."""
    assert set(seen.answers) == {200}, seen
    assert seen.token_errors == [], seen
    assert seen.ended >= expiries, seen
    assert seen.busiest_minute() < NO_SPIN, seen


def assert_never_refused(seen):
    """The helper asked once a token, and nothing on the page ever met a dead one."""
    assert seen.refused() == [], seen
    assert seen.heard == {"started": 0, "succeeded": 0, "failed": []}, seen
    assert seen.script_errors == []
    assert {ask.status for ask in seen.to_broker()} == {200}
    assert len(seen.to_broker()) <= seen.ended + 1


def assert_one_refresh_for_each_pair(seen):
    """Upstream refreshed each pair once and refused none; no pair was replaced without need."""
    assert {entry.status for entry in seen.rotations} == {200}, seen
    assert len({entry.presented for entry in seen.rotations}) == len(seen.rotations), seen
    assert seen.ended <= len(seen.rotations) <= seen.ended + 2, seen


async def test_one_tab_lives_through_three_expiries_by_the_library_alone(told):
    [seen] = await told["one_tab"]
    assert_served(seen)
    assert_one_refresh_for_each_pair(seen)
    assert {request.status for request in seen.refused()} == {498}
    assert {ask.status for ask in seen.to_broker()} == {200}
    assert seen.script_errors == []


async def test_two_tabs_of_one_user_share_each_refresh(told):
    first, second = await told["two_tabs"]
    for seen in (first, second):
        assert_served(seen)
        assert_never_refused(seen)
    assert_one_refresh_for_each_pair(first)


async def test_two_tabs_that_are_refused_at_once_cost_one_refresh(told):
    first, second = await told["two_at_once"]
    for seen in (first, second):
        assert_served(seen, expiries=0)
        assert [request.status for request in seen.refused()] == [498]
        assert [ask.status for ask in seen.to_broker()] == [200]
    assert len(first.rotations) == 1


@pytest.mark.parametrize("story", ["remounted", "remounted_with_helper"])
async def test_a_page_that_is_mounted_anew_with_a_dead_token_goes_on(told, story):
    [seen] = await told[story]
    assert_served(seen)
    assert_one_refresh_for_each_pair(seen)


async def test_a_tab_whose_token_was_superseded_three_times_gets_the_current_one(told):
    [seen] = await told["overtaken"]
    asked_at = seen.to_broker()[0].at
    assert len([entry for entry in seen.rotations if entry.started_ms / 1000 < asked_at]) >= 3
    assert_served(seen, expiries=2)


async def test_a_tab_that_slept_through_its_tokens_end_wakes_up_with_a_new_one(told):
    [seen] = await told["asleep"]
    assert_served(seen, expiries=1)
    assert len(seen.rotations) >= 3
    assert [ask.status for ask in seen.to_broker() if ask.status] == [200]


async def test_with_the_helper_no_call_meets_a_dead_token_while_others_have_them_purged(told):
    kept, _ = await told["crowd"]
    assert_served(kept)
    assert_never_refused(kept)
    assert_one_refresh_for_each_pair(kept)


async def test_without_the_helper_the_library_never_recovers_from_a_purge(told):
    _, lone = await told["crowd"]
    assert lone.answers == [200] + [401] * 6
    assert lone.to_broker() == []
    assert lone.token_errors == []
    assert lone.busiest_minute() < NO_SPIN
