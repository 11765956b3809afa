"""A bucket of calls: what it lets through in any minute, whatever is asked of it."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.bucket import Bucket
from service.adapters.budget import capacity_of

MINUTE_S = 60.0


class Callers:
    """Callers and work ahead of time at one bucket; notes when each call is made."""

    def __init__(self, rate_s):
        self.bucket = Bucket(rate_s, capacity_of(rate_s))
        self.now = 0.0
        self.calls_at = []
        self.pauses = []
        self._waiting = []

    def take(self, longest_s, waited=False):
        wait_s = self.bucket.take(self.now, longest_s, waited=waited)
        if wait_s == 0:
            self.calls_at.append(self.now)
        elif wait_s is not None:
            assert wait_s <= longest_s
            heapq.heappush(self._waiting, (self.now + wait_s, self.now + longest_s))

    def take_ahead(self, most):
        self.calls_at += [self.now] * self.bucket.take_ahead(self.now, most)

    def pause(self, seconds):
        self.bucket.pause(self.now, seconds)
        self.pauses.append((self.now, self.now + seconds))

    def let_pass(self, seconds):
        until = self.now + seconds
        while self._waiting and self._waiting[0][0] <= until:
            self.now, ends_at = heapq.heappop(self._waiting)
            self.take(max(0.0, ends_at - self.now), waited=True)
        self.now = until


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from([0.0, 1.0, 8.0, 35.0])),
        st.tuples(st.just("take_ahead"), st.integers(0, 200)),
        st.tuples(st.just("pause"), st.sampled_from([0.5, 5.0, 40.0])),
        st.tuples(st.just("let_pass"), st.floats(0, 30)),
    ),
    max_size=60,
)


@given(rate_s=st.sampled_from([0.05, 0.5, 1.0]), steps=STEPS)
def test_no_minute_sees_more_than_it_may_and_no_pause_sees_any(rate_s, steps):
    callers = Callers(rate_s)
    for name, value in steps:
        repeat = 20 if name == "take" else 1
        for _ in range(repeat):
            getattr(callers, name)(value)
    callers.let_pass(100)
    most = capacity_of(rate_s) + rate_s * MINUTE_S + 1e-6
    for start in callers.calls_at:
        assert sum(start <= at < start + MINUTE_S for at in callers.calls_at) <= most
    for begins_at, ends_at in callers.pauses:
        assert not [at for at in callers.calls_at if begins_at < at < ends_at - 1e-9]


def test_waiting_callers_are_let_through_one_by_one():
    bucket = Bucket(rate_s=2.0, capacity=1.0)
    assert [bucket.take(0.0, 10.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_a_pause_fills_the_bucket_once_however_often_it_is_asked_meanwhile():
    bucket = Bucket(rate_s=1.0, capacity=2.0)
    bucket.pause(0.0, 10.0)
    assert [bucket.take(now, 60.0) for now in (0.0, 1.0, 2.0, 2.0)] == [10.0, 9.0, 9.0, 10.0]


def test_work_ahead_of_time_waits_behind_callers_who_have_reserved():
    bucket = Bucket(rate_s=1.0, capacity=10.0)
    for _ in range(15):
        bucket.take(0.0, 60.0)
    assert bucket.take_ahead(9.0, 5) == 0
    assert bucket.take_ahead(12.0, 5) == 2


@pytest.mark.parametrize(("now", "ready"), [(-5.0, 3.0), (0.0, 3.0), (2.0, 5.0), (1e9, 10.0)])
def test_a_bucket_fills_with_time_and_never_by_a_clock_set_back(now, ready):
    bucket = Bucket(rate_s=1.0, capacity=10.0)
    for _ in range(7):
        bucket.take(0.0, 0.0)
    bucket.give_back(now, 0)
    assert bucket.ready == ready
