"""What is kept of exchanges: alike ones in one row, no more rows than there is room for, nothing secret."""

import asyncio
from ipaddress import ip_address

import pytest

from service.broker.asking import begin, end
from service.broker.audit import MANY, MOST_OF_ONE_USER, MOST_OPEN, TOGETHER, Audit
from service.broker.errors import Invalid, StorageUnavailable
from service.broker.model import EventKind, UserKey
from tests.support.audited import RING, TOKEN, Shelf, asking, exchange
from tests.support.cached import ANNA, BERT, Notes, StoppedClock


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def audit(shelf, clock, notes):
    return Audit(shelf, RING, clock, notes)


async def test_an_exchange_is_kept_with_who_asked_and_what_came_of_it(audit, shelf, clock):
    exchange(audit, generation=7)
    await audit.flush()
    [recorded] = shelf.rows.values()
    event = recorded.event
    assert (recorded.key, event.at, event.kind) == (ANNA, clock(), EventKind.EXCHANGE)
    assert (event.outcome, event.presented, event.generation) == ("ok", 6, 7)
    assert (event.address, event.origin, event.request_id) == (
        "203.0.113.7",
        "https://app.example.com",
        "r-1",
    )
    assert (event.count, event.last_at) == (1, None)


async def test_neither_token_nor_user_agent_is_in_it(audit, shelf):
    exchange(audit, request_id="r-2")
    await audit.flush()
    [event] = shelf.events()
    assert "hush" not in repr(event)
    assert event.fingerprint == RING.of(TOKEN)[0].digest.hex()[:8]
    assert len(event.agent) == 16


async def test_a_page_that_asks_a_thousand_times_is_one_row(audit, shelf, clock):
    exchange(audit)
    await audit.flush()
    clock.advance(9)
    exchange(audit, times=999)
    await audit.flush()
    [event] = shelf.events()
    assert (event.count, event.last_at) == (1000, clock())
    assert shelf.writes == 2


async def test_what_repeats_later_begins_a_row_of_its_own(audit, shelf, clock):
    exchange(audit)
    clock.advance(TOGETHER.total_seconds() - 1)
    exchange(audit)
    clock.advance(1)
    exchange(audit)
    await audit.flush()
    assert shelf.counts() == [1, 2]


async def test_what_is_taken_in_late_is_of_when_it_was_and_takes_a_row_no_way_back(audit, shelf, clock):
    earlier = clock()
    clock.advance(5)
    exchange(audit)
    audit.exchanged(asking(), "token.exchanged", "ok", earlier)
    audit.exchanged(asking(key=BERT), "token.exchanged", "ok", earlier)
    await audit.flush()
    mine, berts = shelf.events()
    assert (mine.at, mine.last_at, mine.count) == (clock(), clock(), 2)
    assert berts.at == earlier


@pytest.mark.parametrize(
    "other",
    [{"outcome": "token_unknown"}, {"token": "another.access-token.of-a-user"}, {"presented": 5},
     {"address": "203.0.113.8"}, {"actor": "backend"}, {"key": BERT}, {"generation": 8},
     {"reason": "revoked"}, {"origin": None}],
)  # fmt: skip
async def test_what_differs_in_what_matters_is_a_row_of_its_own(audit, shelf, other):
    exchange(audit)
    exchange(audit, **other)
    await audit.flush()
    assert shelf.counts() == [1, 1]


@pytest.mark.parametrize("other", [{"agent": "Another/2.0"}, {"request_id": "r-9"}])
async def test_what_anybody_may_vary_at_will_does_not_make_rows(audit, shelf, other):
    exchange(audit)
    exchange(audit, **other)
    await audit.flush()
    assert shelf.counts() == [2]


async def test_of_one_user_from_everywhere_so_many_rows_are_begun_and_all_are_counted(audit, shelf):
    for number in range(300):
        exchange(audit, address=str(ip_address(number)))
    exchange(audit, key=BERT)
    await audit.flush()
    assert len(shelf.rows) == MOST_OF_ONE_USER + 1 + 1
    assert sum(shelf.counts()) == 301
    [rest] = [event for event in shelf.events() if event.count > 1]
    assert (rest.address, rest.fingerprint, rest.facts) == (None, None, {"elided": True})


async def test_rows_that_count_no_more_make_room_for_new_ones(audit, shelf, clock):
    for number in range(MOST_OF_ONE_USER):
        exchange(audit, address=str(ip_address(number)))
    clock.advance(TOGETHER.total_seconds())
    exchange(audit)
    await audit.flush()
    assert shelf.counts() == [1] * (MOST_OF_ONE_USER + 1)
    assert len(audit._open) == sum(audit._of_user.values()) == 1


async def test_while_nothing_can_be_written_it_is_kept_and_written_then(audit, shelf):
    shelf.fails = StorageUnavailable()
    exchange(audit, times=3)
    with pytest.raises(StorageUnavailable):
        await audit.flush()
    exchange(audit)
    shelf.fails = None
    await audit.flush()
    assert shelf.counts() == [4]


async def test_what_finds_no_room_meanwhile_is_counted_and_told(audit, shelf, notes):
    shelf.fails = StorageUnavailable()
    for number in range(MOST_OPEN + 7):
        exchange(audit, key=UserKey("first-client", f"u-{number}"))
    exchange(audit, key=UserKey("first-client", f"u-{MOST_OPEN - 1}"), times=5)
    assert len(audit._open) <= MOST_OPEN
    shelf.fails = None
    await audit.flush()
    assert (len(shelf.rows), max(shelf.counts())) == (MOST_OPEN, 6)
    assert notes.heard == [("events.dropped", None, {"count": 7})]
    exchange(audit, key=BERT)
    await audit.flush()
    assert len(shelf.rows) == MOST_OPEN + 1


async def test_little_is_written_once_a_second_and_much_at_the_next_look(audit, shelf):
    exchange(audit)
    assert [await audit.flush_when_due(now_s) for now_s in (100.0, 100.9, 101.0)] == [1, 0, 0]
    exchange(audit, key=BERT)
    assert await audit.flush_when_due(101.9) == 0
    for number in range(MANY - 1):
        exchange(audit, key=UserKey("first-client", f"u-{number}"))
    assert await audit.flush_when_due(101.95) == MANY
    assert len(shelf.rows) == MANY + 1


async def test_what_repeats_while_its_row_is_being_written_is_written_after_it(audit, shelf):
    exchange(audit)
    shelf.open.clear()
    flushing = asyncio.create_task(audit.flush())
    await shelf.asked.wait()
    exchange(audit, times=2)
    shelf.open.set()
    await flushing
    await audit.flush()
    assert shelf.counts() == [3]
    assert await audit.flush() == 0


async def test_a_row_that_is_counted_again_while_it_could_not_be_written_is_written_once(audit, shelf):
    """Twice in one statement is more than the database takes."""
    exchange(audit)
    shelf.open.clear()
    flushing = asyncio.create_task(audit.flush())
    await shelf.asked.wait()
    exchange(audit)
    shelf.fails = StorageUnavailable()
    shelf.open.set()
    with pytest.raises(StorageUnavailable):
        await flushing
    shelf.fails = None
    assert (await audit.flush(), shelf.counts()) == (1, [2])


async def test_what_the_store_will_never_take_holds_nothing_up(audit, shelf, notes):
    shelf.fails = Invalid()
    exchange(audit)
    await audit.flush()
    shelf.fails = None
    exchange(audit, key=BERT)
    await audit.flush()
    assert [one.key for one in shelf.rows.values()] == [BERT]
    assert notes.events() == ["events.dropped"]


async def test_at_the_end_everything_is_written_and_what_cannot_be_is_told(audit, shelf, notes):
    exchange(audit)
    await audit.drain()
    assert shelf.counts() == [1]
    shelf.fails = StorageUnavailable()
    exchange(audit, key=BERT)
    await audit.drain()
    assert notes.heard == [("events.dropped", None, {"count": 1})]


async def test_an_exchange_of_nobody_known_is_not_kept(audit, shelf):
    exchange(audit, key=None)
    assert await audit.flush() == 0


async def test_an_order_that_is_refused_is_kept_by_its_name(audit, shelf):
    audit.refused(asking(actor="backend", fingerprint=None, presented=None), "revoke", "scope_missing")
    await audit.flush()
    [event] = shelf.events()
    assert (event.kind, event.event, event.reason) == (EventKind.ACT, "act.refused", "revoke")
    assert (event.outcome, event.actor) == ("scope_missing", "backend")


@pytest.fixture
def someone_asks():
    begin(asking())
    yield
    end()


async def test_a_sign_of_misuse_that_is_noted_is_kept_with_who_asked(audit, shelf, notes, someone_asks):
    audit.hearing(notes).note("token.reuse", ANNA, kind="far_behind", times=3, distance=5, seen=object())
    await audit.flush()
    [event] = shelf.events()
    assert (event.kind, event.event, event.reason) == (EventKind.SIGNAL, "token.reuse", "far_behind")
    assert (event.facts, event.count, event.address) == ({"distance": 5}, 3, "203.0.113.7")
    assert notes.events() == ["token.reuse"]


async def test_a_sign_that_requests_of_any_id_give_is_one_row_and_names_the_first(audit, shelf, notes):
    for request_id in ("r-1", "r-2", "r-3"):
        begin(asking(request_id=request_id))
        audit.hearing(notes).note("token.reuse", ANNA, kind="far_behind", request_id=request_id)
        end()
    await audit.flush()
    [event] = shelf.events()
    assert (event.count, event.request_id, event.facts) == (3, "r-1", None)


async def test_a_sign_that_nobodys_request_gave_is_kept_as_well(audit, shelf, notes):
    audit.hearing(notes).note("token.reuse", ANNA, kind="addresses", generation=7, addresses=12)
    await audit.flush()
    [event] = shelf.events()
    assert (event.reason, event.presented, event.facts) == ("addresses", 7, {"addresses": 12})
    assert (event.address, event.request_id) == (None, None)


async def test_what_is_noted_for_the_log_alone_is_not_kept(audit, shelf, notes):
    heard = audit.hearing(notes)
    heard.note("answer", ANNA, source="near")
    heard.note("token.reuse", None, kind="revoked")
    assert (await audit.flush(), len(notes.heard)) == (0, 2)


async def test_why_it_is_refused_is_learned_from_what_is_noted(audit, shelf, notes):
    who = asking()
    begin(who)
    audit.hearing(notes).note("session.refused", ANNA, reason="no_cookie")
    end()
    audit.exchanged(who, "token.exchanged", "token_unknown")
    await audit.flush()
    assert [event.reason for event in shelf.events()] == ["no_cookie"]
