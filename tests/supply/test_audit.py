"""The audit fails on what is affected, on what nobody asked for, and on excuses that no longer hold."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from supply import audit as auditing
from supply import locks
from supply.locks import Unreadable
from tests.supply.trees import TAKEN, vuln

FIXED = vuln({"introduced": "0"}, {"fixed": "1.6"})


def excuse(kind="advisory", until=TAKEN, dated=TAKEN, reason="not used here", **what):
    what = what or {"package": "alpha", "id": "PYSEC-1"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**what, "reason": reason}.items()]
    return "\n".join([f"[[{kind}]]", f"dated = {dated}", f"until = {until}", *lines, ""])


def only(seen):
    (problem,) = seen.problems
    return problem


# This tree


def test_what_is_locked_here_passes(capsys):
    assert auditing.main([]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["packages"], figures["problems"]) == (len(locks.versions()), 0)


def test_a_version_that_was_weak_would_be_found_here_by_the_advisories_that_are_kept(tmp_path):
    for name in ("requirements.lock", "requirements-run.lock", "requirements-build.lock"):
        text = (locks.ROOT / name).read_text()
        (tmp_path / name).write_text(text.replace("cryptography==50.0.2", "cryptography==49.0.0"))
    (tmp_path / "supply").symlink_to(locks.ROOT / "supply")
    problems = auditing.audit(tmp_path, TAKEN).problems
    assert any("PYSEC-2026-3552" in one and "49.0.0" in one and "fixed in 50.0.0" in one for one in problems)


# What fails


def test_nothing_known_of_anything_is_no_problem(tree):
    assert tree.judge().problems == []


def test_an_affected_version_is_told_with_its_fix(tree):
    tree.known["alpha"]["vulns"] = [FIXED]
    told = only(tree.judge())
    assert all(part in told for part in ("PYSEC-1", "CVE-1", "alpha 1.5", "fixed in 1.6", "make lock"))
    assert "requirements-run.lock" in told


def test_an_affected_version_without_a_fix_is_told_so(tree):
    tree.known["alpha"]["vulns"] = [vuln({"introduced": "1.5"})]
    assert "no fixed version is known" in only(tree.judge())


def test_an_advisory_that_was_withdrawn_hits_nothing(tree):
    tree.known["alpha"]["vulns"] = [{**FIXED, "withdrawn": "2026-01-01T00:00:00Z"}]
    assert tree.judge().problems == []


def test_a_package_without_an_entry_was_never_checked(tree):
    del tree.known["beta"]
    assert "beta 2.0 was never checked" in only(tree.judge())


def test_a_lock_that_is_newer_than_the_file_fails(tree):
    tree.locked["beta"] = "2.1"
    newer, left = tree.judge().problems
    assert "newer than the advisories: it has beta 2.1" in newer
    assert "The file has beta 2.0, and no lock has" in left


def test_an_entry_that_no_lock_has_fails(tree):
    tree.known["gamma"] = {"locked": ["1"], "sources": ["whole"], "vulns": []}
    assert "gamma 1, and no lock has" in only(tree.judge())


def test_a_range_that_cannot_be_judged_fails(tree):
    tree.known["alpha"]["vulns"] = [vuln({"introduced": "0"}, {"fixed": "soon"})]
    assert "'soon' is no version" in only(tree.judge())


def test_a_package_whose_source_lists_only_some_was_not_checked(tree):
    tree.known["alpha"]["sources"] = ["part"]
    assert "alpha was checked in part: part" in only(tree.judge())


@pytest.mark.parametrize(
    "bent",
    [
        {"sources": []},
        {"sources": ["nobody"]},
        {"vulns": [{"id": "PYSEC-1"}]},
        {"vulns": [{"id": "", "affected": []}]},
        {"vulns": None},
        {"locked": None},
    ],
    ids=repr,
)
def test_an_entry_that_is_not_whole_is_not_guessed_at(tree, bent):
    tree.known["alpha"].update(bent)
    with pytest.raises(Unreadable, match=r"advisories\.json is not an advisory file"):
        tree.judge()


@pytest.mark.parametrize("name", [*locks.LOCKS, "supply/advisories.json", "supply/exceptions.toml"])
def test_a_file_that_is_not_there_is_told_of_in_words(tree, name):
    tree.write()
    (tree.root / name).unlink()
    with pytest.raises(Unreadable, match=Path(name).name):
        auditing.audit(tree.root, TAKEN)


# Exceptions


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_exception_lets_an_advisory_pass_by_any_of_its_names(tree, name):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.exceptions = excuse(package="alpha", id=name)
    seen = tree.judge()
    assert seen.problems == []
    assert any("not used here" in note for note in seen.notes)


def test_an_exception_lets_pass_what_was_checked_in_part(tree):
    tree.known["alpha"]["sources"] = ["part"]
    tree.exceptions = excuse("in_part", packages=["alpha"])
    assert tree.judge().problems == []


def test_an_exception_that_has_run_out_on_the_day_of_the_file_lets_nothing_pass(tree):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.exceptions = excuse(until=TAKEN - timedelta(1), dated=TAKEN - timedelta(30))
    run_out, affected = tree.judge().problems
    assert "has run out: alpha, PYSEC-1" in run_out
    assert "is affected" in affected


def test_an_exception_for_another_package_lets_nothing_pass(tree):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.exceptions = excuse(package="beta", id="PYSEC-1")
    affected, unused = tree.judge().problems
    assert "is affected" in affected
    assert "for nothing, remove it: beta" in unused


@pytest.mark.parametrize(
    "bent",
    [
        {"reason": " "},
        {"until": TAKEN + timedelta(91)},
        {"until": TAKEN - timedelta(1)},
        {"dated": '"today"'},
    ],
    ids=lambda bent: next(iter(bent)),
)
def test_an_exception_without_a_reason_or_with_too_long_a_life_is_refused(tree, bent):
    tree.exceptions = excuse(**bent)
    with pytest.raises(Unreadable, match=r"exceptions\.toml holds no exceptions that can be judged"):
        tree.judge()


# The calendar


def test_an_old_checkout_still_passes_years_later_and_says_its_age(tree):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.exceptions = excuse(until=TAKEN + timedelta(90))
    seen = tree.judge(date(2031, 1, 1))
    assert seen.problems == []
    assert any("1703 days old" in note for note in seen.notes)
    assert any("by today it has run out" in note for note in seen.notes)


@pytest.mark.parametrize(("days", "problems"), [(0, 0), (7, 0), (8, 1), (-1, 1)])
def test_a_release_needs_advisories_of_this_week(tree, days, problems):
    assert len(tree.judge(TAKEN + timedelta(days), release=True).problems) == problems


def test_a_release_takes_no_exception_that_has_run_out_by_today(tree):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.exceptions = excuse(until=TAKEN + timedelta(2))
    assert tree.judge(TAKEN + timedelta(2), release=True).problems == []
    assert "has run out" in tree.judge(TAKEN + timedelta(3), release=True).problems[0]


def test_a_release_takes_no_excuse_for_what_was_checked_in_part(tree):
    tree.known["alpha"]["sources"] = ["part"]
    tree.exceptions = excuse("in_part", packages=["alpha"])
    assert "checked in part" in only(tree.judge(release=True))


# The command


def test_it_exits_with_a_failure_and_ends_with_its_figures(tree, capsys):
    tree.known["alpha"]["vulns"] = [FIXED]
    tree.write()
    assert auditing.main([], tree.root) == 1
    told = capsys.readouterr()
    assert "PYSEC-1" in told.err
    assert json.loads(told.out.splitlines()[-1])["affected"] == 1


def test_without_a_file_it_says_so_and_exits_with_another_status(tree, capsys):
    tree.write()
    (tree.root / "supply/advisories.json").write_text("{}")
    assert auditing.main([], tree.root) == 2
    assert "is not an advisory file" in capsys.readouterr().err
