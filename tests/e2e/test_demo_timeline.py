"""How journal entries and log lines become the page's timeline and figures."""

import asyncio

import orjson
import pytest

from sandbox.calcom import Entry
from sandbox.demo.feed import Feed
from sandbox.demo.heard import Heard
from sandbox.demo.notes import Note, Tally
from sandbox.demo.pairs import Pairs
from sandbox.demo.seen import Seen


def entry(route, status=200, **fields):
    made = Entry(1, route, "POST", "/", 0.0, user_id=1001, status=status)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def seen(made):
    tally = Tally()
    return Seen(tally, {1001: "Ada"}.get).of_entry(made), tally


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (entry("create", 201), "Created ada with a first pair"),
        (entry("refresh"), "Refresh for ada: a new pair"),
        (entry("refresh", 400), "Refresh for ada: refused with 400"),
        (entry("refresh", 429), "Refresh for ada: 429, too many requests"),
        (entry("refresh", answered=False, committed=True), "carried out, and its answer was lost"),
        (entry("refresh", None, answered=False), "lost before it was carried out"),
        (entry("force"), "Force-refresh for ada: all old tokens dead"),
        (entry("check", bearer="x"), "Asked about a token: still good"),
        (entry("check", 498, bearer="x"), "Asked about a token: 498"),
        (entry("me", 498), "498: it has expired"),
        (entry("me", 401), "401: its row is gone"),
        (entry("sandbox.purge", None, purged=2), "Swept 2 expired token(s) away"),
    ],
)
def test_what_upstream_saw_is_told_in_words(made, text):
    note, _ = seen(made)
    assert note.source == "upstream"
    assert text in note.text


@pytest.mark.parametrize("made", [entry("me"), entry("read"), entry("preflight", 204), entry("check")])
def test_what_is_of_no_interest_is_no_line(made):
    assert seen(made)[0] is None


def test_calls_are_counted_as_upstream_saw_them():
    tally = Tally()
    told = Seen(tally)
    for made in (entry("refresh", issued_access="a"), entry("refresh", 400), entry("me"), entry("me", 498)):
        told.of_entry(made)
    assert (tally.refreshes, tally.replaced, tally.served_calls, tally.refused_calls) == (2, 1, 1, 1)


def rotated(**facts):
    line = {"ts": "2026-01-01T00:00:00.000Z", "event": "refresh.rotated", "user_id": "ada-0a1b2c"}
    return {**line, "trigger": "ahead", "lead_s": 12.34, **facts}


def test_what_the_broker_said_is_told_in_words():
    note = Heard(Tally()).of_line("worker", rotated())
    assert note.text == "Replaced the pair of ada (ahead), 12.3 s before its end"
    assert note.at_ms == 1_767_225_600_000


def test_a_rotation_after_the_end_is_told_so():
    note = Heard(Tally()).of_line("service", rotated(lead_s=-0.4, trigger="request"))
    assert note.text == "Replaced the pair of ada (request), 0.4 s after its end"


def test_calls_to_upstream_are_the_brokers_word_only_where_there_is_no_journal():
    call = {"event": "upstream.call", "call": "refresh", "outcome": "rotated", "seconds": 0.02}
    tally = Tally()
    assert Heard(Tally()).of_line("service", call) is None
    assert "refresh call: rotated, in 20 ms" in Heard(tally, alone=True).of_line("service", call).text
    assert (tally.refreshes, tally.replaced) == (1, 1)


def test_pairs_are_numbered_by_user_and_old_ones_forgotten():
    pairs = Pairs()
    for number in range(100):
        pairs.note(entry("refresh", issued_access=f"a{number}"))
    assert (pairs.numbers["a99"], pairs.current(1001), "a0" in pairs.numbers) == (100, 100, False)


def fed(*notes):
    feed = Feed(dict)
    for note in notes:
        feed.add(note)
    return orjson.loads(feed._message(list(feed._notes)))["notes"]


def test_the_same_line_again_within_a_moment_only_counts():
    notes = fed(*(Note("service", "refresh.joined", "joined", at_ms=number) for number in range(99)))
    assert [(note["text"], note["times"]) for note in notes] == [("joined", 99)]


def test_the_same_line_later_is_a_line_of_its_own():
    assert len(fed(Note("service", "e", "again", at_ms=0), Note("service", "e", "again", at_ms=5000))) == 2


async def test_a_watcher_who_does_not_read_is_sent_away_and_nobody_waits_for_it():
    feed = Feed(dict)
    messages = feed._messages()
    await anext(messages)
    for number in range(200):
        feed._send(b"%d" % number)
    rest = [message async for message in messages]
    assert len(rest) < 200


async def test_the_feed_ends_when_it_is_closed():
    feed = Feed(dict)
    messages = feed._messages()
    await anext(messages)
    feed.close()
    async with asyncio.timeout(1):
        assert [message async for message in messages] == []
