"""Tokens in hands they should not be in are noticed and told of, behind whoever asked."""

from datetime import timedelta

import pytest

from service.broker.asking import Asking, begin, end, who_asks
from service.broker.errors import StorageUnavailable
from service.broker.reuse import FAR_BEHIND, MOST_ADDRESSES, NOBODY, Reuses, Tokens
from tests.support.builders import HOUR, NOON, TICK, an_entry
from tests.support.cached import ANNA, BERT, StoppedClock

TOKEN = (ANNA, 7)
MANY = MOST_ADDRESSES + 1


class Shelf:
    """A grant store in which every token is so far behind; it can be down."""

    def __init__(self, behind=0):
        self.distance = behind
        self.judged = []
        self.down = False

    async def behind(self, tokens):
        self.judged += self._up(tokens)
        return [self.distance for _ in tokens]

    def _up(self, given):
        if self.down:
            raise StorageUnavailable
        return given


class Ears:
    """An observer that keeps what it hears of tokens, and in whose name."""

    def __init__(self):
        self.heard = []
        self.refused = []
        self.names = []

    def note(self, event, key=None, **facts):
        told = {"key": key, **facts}
        self.names.append(who_asks())
        {"token.reuse": self.heard, "refresh.refused": self.refused}[event].append(told)


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def ears():
    return Ears()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def reuses(shelf, ears, clock):
    return Reuses(shelf, ears, clock)


def from_many(reuses, entry=None, *, count=MANY):
    for address in range(count):
        reuses.look_at(entry or an_entry(), 7, address)


async def test_a_revoked_token_is_told_of_but_not_before_the_next_flush(reuses, ears):
    reuses.note_refused(an_entry(), "revoked")
    assert ears.heard == []
    await reuses.flush()
    assert ears.heard == [{"key": ANNA, "kind": "revoked", "generation": 7, "times": 1}]


@pytest.mark.parametrize("reason", ["unknown", "window", "dead"])
async def test_any_other_refusal_is_told_of_and_is_no_more_than_that(reuses, ears, reason):
    reuses.note_refused(an_entry(), reason)
    await reuses.flush()
    assert (ears.heard, ears.refused) == ([], [{"key": ANNA, "reason": reason}])


async def test_who_presented_a_token_that_is_not_known_is_nobody(reuses, ears):
    reuses.note_refused(an_entry(key=NOBODY), "unknown")
    await reuses.flush()
    assert ears.refused == [{"key": None, "reason": "unknown"}]


async def test_what_comes_often_is_one_line_that_says_how_often(reuses, ears):
    for _ in range(5):
        reuses.note_refused(an_entry(), "revoked")
    await reuses.flush()
    assert [heard["times"] for heard in ears.heard] == [5]


class Asked:
    """Runs as a request of somebody does, and then as nobody's."""

    def __init__(self, request_id):
        self.asking = Asking(request_id)

    def __enter__(self):
        begin(self.asking)
        return self.asking

    def __exit__(self, *_):
        end()


async def test_a_refusal_is_told_in_the_name_of_who_was_refused_and_carries_its_requests_id(reuses, ears):
    with Asked("r-1") as first:
        reuses.note_refused(an_entry(), "revoked")
    with Asked("of-another"):
        await reuses.flush()
    assert [told["request_id"] for told in (*ears.refused, *ears.heard)] == ["r-1", "r-1"]
    assert ears.names == [first, first]


async def test_what_comes_often_is_told_in_the_name_of_the_first(reuses, ears):
    for request_id in ("r-1", "r-2"):
        with Asked(request_id):
            reuses.note_refused(an_entry(), "revoked")
    await reuses.flush()
    assert [told["request_id"] for told in ears.refused] == ["r-1", "r-2"]
    assert [(told["request_id"], told["times"]) for told in ears.heard] == [("r-1", 2)]


async def test_who_is_named_is_who_asked_and_not_in_whose_context_it_is_looked_at(reuses, shelf, ears):
    shelf.distance, somebody = FAR_BEHIND + 1, Asking("r-1")
    with Asked("of-another"):
        for address in range(MANY):
            reuses.look_at(an_entry(7), 12, address, NOON, somebody)
        await reuses.flush()
    assert [told["kind"] for told in ears.heard] == ["many_addresses", "far_behind"]
    assert ears.names == [somebody, somebody]
    assert {told["request_id"] for told in ears.heard} == {"r-1"}


async def test_to_tell_in_somebodys_name_leaves_nothing_of_it_behind(reuses):
    with Asked("r-1"):
        reuses.note_refused(an_entry(), "revoked")
    with Asked("of-another") as other:
        await reuses.flush()
        assert who_asks() is other


async def test_what_nobody_asked_is_told_in_nobodys_name(reuses, ears):
    reuses.note_refused(an_entry(), "revoked")
    with Asked("of-another"):
        await reuses.flush()
    assert ears.names == [None, None]
    assert "request_id" not in ears.heard[0]


async def test_addresses_are_counted_by_when_they_came_and_not_by_when_they_are_looked_at(reuses, ears):
    for address in range(MANY):
        reuses.look_at(an_entry(), 7, address, NOON + address * HOUR / MOST_ADDRESSES)
    await reuses.flush()
    assert ears.heard == []


@pytest.mark.parametrize(("behind", "told"), [(FAR_BEHIND, []), (FAR_BEHIND + 1, ["far_behind"])])
async def test_a_token_with_more_than_three_newer_ones_is_far_behind(reuses, shelf, ears, behind, told):
    shelf.distance = behind
    reuses.look_at(an_entry(7), 12, None)
    await reuses.flush()
    assert [heard["kind"] for heard in ears.heard] == told
    assert [heard["behind"] for heard in ears.heard] == [behind for _ in told]


async def test_the_current_token_is_behind_none(reuses, shelf):
    shelf.distance = 99
    reuses.look_at(an_entry(7), 7, None)
    await reuses.flush()
    assert shelf.judged == []


async def test_the_database_is_asked_once_for_each_token_and_again_when_there_is_a_newer_pair(reuses, shelf):
    for generation in (8, 8, 9):
        reuses.look_at(an_entry(7), generation, None)
        await reuses.flush()
    assert shelf.judged == [TOKEN, TOKEN]


@pytest.mark.parametrize(("count", "told"), [(MOST_ADDRESSES, []), (MANY, ["many_addresses"])])
async def test_one_token_from_more_addresses_than_a_persons_devices_have_is_told_of(
    reuses, ears, count, told
):
    from_many(reuses, count=count)
    await reuses.flush()
    assert [heard["kind"] for heard in ears.heard] == told


async def test_many_users_behind_one_address_and_many_tokens_are_nothing(reuses, ears):
    for number in range(100):
        reuses.look_at(an_entry(number), number, "one address")
        reuses.look_at(an_entry(7, key=BERT), 7, "one address")
    await reuses.flush()
    assert ears.heard == []


async def test_without_a_database_a_revoked_one_is_told_of_at_once_and_others_later(reuses, shelf, ears):
    shelf.down, shelf.distance = True, 9
    reuses.note_refused(an_entry(3), "revoked")
    reuses.look_at(an_entry(4), 12, None)
    with pytest.raises(StorageUnavailable):
        await reuses.flush()
    assert [heard["kind"] for heard in ears.heard] == ["revoked"]
    shelf.down = False
    await reuses.flush()
    assert [(heard["generation"], heard["kind"]) for heard in ears.heard[1:]] == [(4, "far_behind")]


async def test_what_waits_for_the_database_is_bounded(reuses, shelf, ears, monkeypatch):
    monkeypatch.setattr("service.broker.reuse._MOST_WAITING", 10)
    shelf.down = True
    for generation in range(100):
        reuses.note_refused(an_entry(generation), "revoked")
        reuses.look_at(an_entry(generation), 1000, None)
    with pytest.raises(StorageUnavailable):
        await reuses.flush()
    assert len(ears.heard) == 10
    shelf.down = False
    await reuses.flush()
    assert (len(shelf.judged), len(ears.heard)) == (10, 10)


def counted(addresses, *seen, token=TOKEN):
    return [addresses.note(token, 7, address, at)[0] for address, at in seen]


def test_addresses_of_the_last_hour_are_counted_each_once():
    seen = [("a", NOON), ("b", NOON), ("a", NOON), ("c", NOON)]
    assert counted(Tokens(), *seen) == [1, 2, 2, 3]


def test_who_moves_through_many_networks_in_a_day_is_not_many():
    slowly = [(address, NOON + address * HOUR / MOST_ADDRESSES) for address in range(50)]
    assert max(counted(Tokens(), *slowly)) == MOST_ADDRESSES


def test_an_hour_is_an_hour():
    addresses = Tokens()
    counted(addresses, *[(address, NOON) for address in range(MOST_ADDRESSES)])
    assert counted(addresses, ("late", NOON + HOUR - TICK)) == [MANY]
    assert counted(addresses, ("later", NOON + HOUR)) == [2]


def test_one_address_again_and_again_does_not_push_out_the_others():
    addresses = Tokens()
    counted(addresses, *[(address, NOON) for address in range(MANY)])
    busy = [("busy", NOON + timedelta(seconds=second)) for second in range(100)]
    assert set(counted(addresses, *busy)) == {MANY}


def test_what_is_remembered_of_addresses_is_bounded_in_both_ways():
    addresses = Tokens(most=10)
    for generation in range(100):
        counted(addresses, *[(number, NOON) for number in range(200)], token=(ANNA, generation))
    assert len(addresses._known) == 10
    assert {len(seen) for _, seen in addresses._known.values()} == {MANY}
