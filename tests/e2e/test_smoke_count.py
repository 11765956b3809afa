"""The count of a smoke run, on journals with violations planted in them."""

import orjson
import pytest

from sandbox.smoke.count import count, read_journal
from sandbox.smoke.promises import broken
from tests.e2e.journals import LIFETIME_MS, MARGIN_MS, Story


def counted(story):
    return count(story.lines, story.asked, story.generations, MARGIN_MS)


def kept(story):
    """A story that keeps every promise by itself, for the violation to be the only one."""
    story.rotate_in_time().rotate(story.expires_ms + 1000)
    return story.ask("access-1001-1", story.held, story.expires_ms - 9000, occasion="a").ask(
        "access-1001-1", story.held, story.expires_ms - 9000, occasion="a"
    )


def sentences(story, replaced=2):
    return broken(counted(story), users=1, replaced=replaced)


def test_a_run_without_fault_keeps_every_promise():
    assert sentences(kept(Story())) == []


def test_a_refresh_token_presented_again_is_seen():
    story = kept(Story()).present_again(60_000)
    assert counted(story).refresh_tokens_spent_twice == 1
    assert "1 refresh tokens were presented again" in sentences(story)


def test_a_rotation_far_from_the_end_that_nobody_asked_for_is_needless():
    story = Story().rotate(LIFETIME_MS / 2 - MARGIN_MS)
    assert counted(story).needless_refreshes == 1
    assert "1 needless refreshes" in sentences(story)


def test_the_margin_is_taken_at_its_widest_and_no_wider():
    assert counted(Story().rotate(LIFETIME_MS - 1.5 * MARGIN_MS)).needless_refreshes == 0
    assert counted(Story().rotate(LIFETIME_MS - 1.5 * MARGIN_MS - 300)).needless_refreshes == 1


def test_a_complaint_about_the_pair_makes_its_rotation_needed_and_on_request():
    story = Story().ask("access-1001-1", "access-1001-2", 2000.0).rotate(2005.0)
    seen = counted(story)
    assert (seen.needless_refreshes, seen.refreshed_ahead, seen.refreshed_on_request) == (0, 0, 1)


def test_a_complaint_after_the_rotation_excuses_nothing():
    story = Story().rotate(2000.0).ask("access-1001-1", "access-1001-2", 3000.0)
    assert counted(story).needless_refreshes == 1


def test_a_complaint_that_upstream_did_not_share_excuses_nothing_later():
    story = Story().ask("access-1001-1", "access-1001-1", 1000.0).rotate(2000.0)
    assert counted(story).needless_refreshes == 1


def test_ahead_is_before_the_end_and_on_request_is_after_it():
    story = Story().rotate_in_time()
    seen = counted(story.rotate(story.expires_ms + 1))
    assert (seen.refreshed_ahead, seen.refreshed_on_request) == (1, 1)


def test_an_old_token_answered_with_the_pair_that_was_there_is_superseded():
    story = Story().rotate_in_time()
    story.ask("access-1001-1", "access-1001-2", 16_000.0)
    assert counted(story).superseded_answers == 1


def test_an_answer_that_had_to_be_fetched_first_is_not():
    story = Story().rotate_in_time()
    story.ask("access-1001-1", "access-1001-3", story.expires_ms + 10).rotate(story.expires_ms + 12)
    assert counted(story).superseded_answers == 0


def test_tabs_that_were_answered_differently_are_seen():
    story = kept(Story())
    story.ask("access-1001-1", "access-1001-2", 16_000.0, occasion="b")
    story.ask("access-1001-1", "access-1001-3", 16_000.0, occasion="b")
    assert "two tabs of one user were answered differently, or not at all" in sentences(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 503},
        {"status": 0},
        {"usable": False},
        {"answered": None},
        {"answered": "access-1002-1"},
        {"wrong": "x"},
    ],
)
def test_an_answer_without_a_working_token_of_the_user_is_an_error(wrong):
    story = kept(Story()).ask("access-1001-1", **{"answered": "access-1001-3", "at_ms": 50_000.0, **wrong})
    assert counted(story).errors == 1
    assert "1 errors" in sentences(story)


@pytest.mark.parametrize("fields", [{"status": 500}, {"answered": False}])
def test_a_call_that_upstream_did_not_carry_out_or_answer_is_an_error(fields):
    assert counted(Story().rotate_in_time().rotate(30_000.0, **fields)).errors == 1


def test_a_pair_that_postgres_does_not_know_is_seen():
    story = kept(Story())
    figures = count(story.lines, story.asked, {1001: 2}, MARGIN_MS)
    assert "2 refresh calls upstream for 1 replaced pairs" in broken(figures, users=1, replaced=1)


def test_the_journal_is_read_as_it_was_written(tmp_path):
    lines = Story().rotate_in_time().lines
    (tmp_path / "journal.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    assert read_journal(tmp_path / "journal.jsonl") == lines
