"""What an advisory calls affected, to the version; and what cannot be judged."""

import pytest

from supply.ranges import Hit, UnreadableRange, hit


def ranged(*events, kind="ECOSYSTEM", versions=()):
    return [{"ranges": [{"type": kind, "events": list(events)}], "versions": list(versions)}]


FIXED = ranged({"introduced": "1.4"}, {"fixed": "2.0"})
LAST = ranged({"introduced": "0"}, {"last_affected": "1.9"})
TWICE = ranged({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0rc1"}, {"fixed": "2.3"})
OPEN = ranged({"introduced": "0"})


@pytest.mark.parametrize(
    ("version", "affected", "found"),
    [
        ("1.3.9", FIXED, None),
        ("1.4", FIXED, Hit("2.0")),
        ("2.0rc1", FIXED, Hit("2.0")),
        ("2.0", FIXED, None),
        ("2.0.post1", FIXED, None),
        ("1.9", LAST, Hit(None)),
        ("1.9.1", LAST, None),
        ("0.0.1.dev1", OPEN, Hit(None)),
        ("1.1", TWICE, Hit("1.2")),
        ("1.2", TWICE, None),
        ("2.0rc1", TWICE, Hit("2.3")),
        ("2.3", TWICE, None),
        ("10.0", ranged({"introduced": "9.0"}, {"fixed": "11.0"}), Hit("11.0")),
        ("1!1.0", OPEN, Hit(None)),
    ],
)
def test_a_version_is_affected_or_not_to_the_edge(version, affected, found):
    assert hit(version, affected) == found


def test_events_need_not_come_in_order():
    assert hit("1.1", ranged({"fixed": "1.2"}, {"introduced": "1.0"})) == Hit("1.2")


def test_a_version_that_is_named_is_affected_however_it_is_written():
    assert hit("1.0", [{"versions": ["1.0.0", "2004b"]}]) == Hit(None)
    assert hit("1.1", [{"versions": ["1.0.0", "2004b"]}]) is None


def test_a_version_that_is_named_beside_a_range_it_is_in_is_fixed_where_the_range_ends():
    assert hit("1.5", ranged({"introduced": "1"}, {"fixed": "2"}, versions=["1.5"])) == Hit("2")


def test_there_is_no_fix_where_one_range_has_none():
    assert hit("1.5", FIXED + OPEN) == Hit(None)


def test_the_fix_is_the_one_that_ends_every_range_it_is_in():
    both = FIXED + ranged({"introduced": "1.0"}, {"fixed": "2.5"})
    assert hit("1.5", both) == Hit("2.5")


@pytest.mark.parametrize(
    ("affected", "why"),
    [
        (ranged({"introduced": "one"}), "no version"),
        (ranged({"introduced": "0"}, {"fixed": 2}), "no version"),
        (ranged({"introduced": "0"}, {}), "must be one of"),
        (ranged({"introduced": "0"}, {"until": "2"}), "must be one of"),
        (ranged({"introduced": "0", "fixed": "2"}), "must be one of"),
        (ranged({"fixed": "2.0"}), "where it begins"),
        (ranged({"introduced": "0"}, kind="GIT"), "names no versions"),
        ([{"ranges": []}], "names no versions"),
        ([{"ranges": {}}], "must be lists"),
        ([{"ranges": [{"type": "ECOSYSTEM"}]}], "where it begins"),
    ],
)
def test_what_cannot_be_judged_is_an_error(affected, why):
    with pytest.raises(UnreadableRange, match=why):
        hit("1.0", affected)
