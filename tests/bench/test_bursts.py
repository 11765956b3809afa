"""How bursts are played: all contestants each round, more rounds for who needs them, none for who failed."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from bench.bursts import FULL, play
from bench.contestants import UNCOUNTED, Contestant
from bench.generator import LoadFailed
from bench.report import contestants_table
from bench.samples import Rules

PLAN = replace(FULL, rounds=3, most_rounds=12, rules=Rules(least=3))


def contestant(name, **changes):
    return Contestant(name, name, SimpleNamespace(pids=[1]), f"{name}.requests", 80, **changes)


@dataclass
class FakeLoad:
    """Answers as each contestant's `shares` of a core say, one a burst; an exception is raised."""

    shares: dict
    default: float = 1.0

    def __post_init__(self):
        self.played = []

    def burst(self, port, requests, *, first, **told):
        name = requests.removesuffix(".requests")
        self.played.append((name, first))
        left = self.shares.get(name, [])
        share = left.pop(0) if left else self.default
        if isinstance(share, Exception):
            raise share
        wrong = {"wrong_status": 0, "wrong_body": 0, "broken": 0}
        times = {"seconds": 1.0, "server_cpu_s": share, "p50_ms": 1.0, "p99_ms": 2.0}
        return {"right": 100, "next": first + 10, **wrong, **times}

    def rounds_of(self, name):
        return sum(one == name for one, _ in self.played)


def played(load, *names):
    return play([contestant(name) for name in names], load, PLAN, lambda _: None)


def test_every_contestant_plays_a_warming_burst_and_each_round():
    load = FakeLoad({})

    found = played(load, "one", "other")

    assert (load.rounds_of("one"), load.rounds_of("other")) == (4, 4)
    assert [len(found[name].bursts) for name in ("one", "other")] == [3, 3]


def test_no_burst_begins_where_another_did():
    load = FakeLoad({})

    played(load, "one")

    assert [first for _, first in load.played] == [0, 10, 20, 30]


def test_who_has_too_few_bursts_that_count_plays_on_alone():
    load = FakeLoad({"one": [1.0, 0.5, 0.5, 1.0, 1.0, 1.0]})

    found = played(load, "one", "other")

    assert (load.rounds_of("one"), load.rounds_of("other")) == (6, 4)
    assert found["one"].stands


def test_who_never_has_its_core_has_no_figure_after_the_last_round():
    load = FakeLoad({}, default=0.9)

    found = played(load, "one")

    assert load.rounds_of("one") == 13
    assert not found["one"].stands


def test_who_failed_is_out_and_the_others_go_on():
    load = FakeLoad({"one": [1.0, 1.0, LoadFailed("it went away")]})

    found = played(load, "one", "other")

    assert load.rounds_of("one") == 3
    assert found["one"].why == "it went away"
    assert found["other"].stands


def test_the_table_says_of_each_that_has_no_figure_why():
    load = FakeLoad({"one": [LoadFailed("it went away")]})

    lines = contestants_table(played(load, "one", "bare"), {"one": "the first"})

    assert any("the first" in line and "it went away" in line for line in lines)


@pytest.mark.parametrize(
    ("source", "share"),
    [(None, 1.0), ("redis", 0.75), ("near", 0.25), ("postgres", 0.0), (UNCOUNTED, 0.0)],
)
def test_the_path_is_what_the_brokers_own_counts_say_of_the_time_in_between(source, share):
    before, after = {"redis": 100.0, "near": 7.0}, {"redis": 175.0, "near": 32.0}

    assert contestant("one", source=source).share_on_path(before, after) == share


def test_nothing_counted_is_the_path_of_who_counts_nothing_and_of_nobody_else():
    assert contestant("one", source=UNCOUNTED).share_on_path({}, {}) == 1.0
    assert contestant("one", source="redis").share_on_path({}, {}) == 0.0
