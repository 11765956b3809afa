"""What a process remembers of the cache stays small and does not outlast a break."""

import pytest

from service.adapters.near import Bounded, NearCache, Refusals
from service.broker.model import UserKey
from tests.support.cached import ANNA, StoppedClock, a_token, presented


@pytest.fixture
def clock():
    return StoppedClock()


def remember(near, clock, key=ANNA, generation=1, now=0.0):
    near.keep(a_token(clock, key, generation), now + 1.0, now)
    near.keep_token(*presented(clock, key, generation), now + 1.0)


def test_a_bounded_dict_lets_the_oldest_writing_go():
    bounded = Bounded(2)
    for name in "aab":
        bounded[name] = name
    bounded["a"] = "again"
    bounded["c"] = "c"
    assert dict(bounded) == {"a": "again", "c": "c"}


def test_no_more_users_and_tokens_are_remembered_than_was_allowed(clock):
    near = NearCache(most=10)
    users = [UserKey("first-client", str(number)) for number in range(50)]
    for user in users:
        remember(near, clock, user)
    assert [near.current(user, 0.5) is not None for user in users] == [False] * 40 + [True] * 10
    assert len(near._tokens) == 10


def test_tokens_nobody_will_be_given_are_let_go(clock):
    near = NearCache()
    for number in range(50):
        remember(near, clock, UserKey("first-client", str(number)), now=0.0)
    for number in range(50, 100):
        remember(near, clock, UserKey("first-client", str(number)), now=5.0)
    assert len(near._users) == 50


def test_what_was_known_of_a_token_does_not_come_back_with_its_user(clock):
    near = NearCache()
    remember(near, clock)
    near.drop(ANNA)
    near.keep(a_token(clock), 1.0, 0.0)
    assert near.current(ANNA, 0.5) is not None
    assert near.find(presented(clock)[0], 0.5) is None


def test_dropping_what_is_older_leaves_what_is_not(clock):
    near = NearCache()
    remember(near, clock, generation=3)
    near.drop(ANNA, below=3)
    assert near.current(ANNA, 0.5).current.generation == 3
    near.drop(ANNA, below=4)
    assert near.current(ANNA, 0.5) is None


def test_a_refusal_holds_for_what_was_asked_before_it_was_carried_out():
    refusals = Refusals()
    refusals.refuse(ANNA, 5)
    assert not refusals.admits(ANNA, 5, asked_at=99.0)
    refusals.done(ANNA, 5, now=10.0)
    assert [refusals.admits(ANNA, 5, asked_at=at) for at in (9.0, 10.0, 10.1)] == [False, False, True]
    assert refusals.admits(ANNA, 6, asked_at=9.0)


def test_a_newer_refusal_is_not_settled_by_an_older_block():
    refusals = Refusals()
    refusals.owed[ANNA] = refusals.refuse(ANNA, 7)
    refusals.done(ANNA, 5, now=10.0)
    assert not refusals.admits(ANNA, 7, asked_at=11.0)
    assert refusals.owed == {ANNA: 7}
    refusals.done(ANNA, 7, now=12.0)
    assert refusals.owed == {}


def test_what_is_lifted_is_no_longer_owed():
    refusals = Refusals()
    refusals.owed[ANNA] = refusals.refuse(ANNA, 7)
    refusals.lift(ANNA, 7)
    assert refusals.admits(ANNA, 7, asked_at=1.0)
    assert not refusals.admits(ANNA, 6, asked_at=1.0)
    assert refusals.owed == {ANNA: 6}
