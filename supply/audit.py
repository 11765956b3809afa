"""`make audit`: holds the locks to the committed advisory file; what could not be checked is a failure.

It judges by the day of the file and reads the clock only to tell its age: what a commit said of itself stays
true, so a checkout of an old one passes for ever. `--release` judges by today, and a stale file stops it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from supply import advisories, locks
from supply.advisories import Advisories, Entry, Exempt
from supply.ranges import UnreadableRange, hit

# For a month what became known may go unseen here; a release goes out with what is known this week.
TOLD_AFTER_DAYS, RELEASE_WITHIN_DAYS = 30, 7
RENEW = "Renew the file with `make advisories` and commit it."
# A package's versions, and the locks that have each.
Versions = Mapping[str, list[str]]


@dataclass
class Audit:
    """What is held against what, and what came of it."""

    known: Advisories
    exempts: list[Exempt]
    as_of: date
    release: bool
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    used: list[Exempt] = field(default_factory=list)

    def excuses(self, package: str, ids: list[str | None]) -> bool:
        """Return whether an exception lets this pass: one that has run out does not."""
        found = advisories.matching(self.exempts, package, ids)
        self.used += found
        self.problems += [
            f"The exception has run out: {one}. Look again, then make it anew or remove it."
            for one in found
            if one.until < self.as_of
        ]
        return any(self.as_of <= one.until for one in found)


def audit(root: Path, today: date, *, release: bool = False) -> Audit:
    """Return the judgement of this tree. Raises locks.Unreadable when there is nothing to judge by."""
    known = advisories.load(root / "supply" / advisories.FILE.name)
    exempts = advisories.load_exceptions(root / "supply" / advisories.EXCEPTIONS.name)
    seen = Audit(known, exempts, max(known.taken, today) if release else known.taken, release)
    locked = locks.versions(root)
    for package, versions in sorted(locked.items()):
        _judge(seen, package, versions)
    seen.problems += _left_over(known, locked)
    seen.problems += [
        f"This exception is for nothing, remove it: {one}." for one in exempts if one not in seen.used
    ]
    _tell_what_passed(seen, today)
    _tell_age(seen, (today - known.taken).days)
    return seen


def _judge(seen: Audit, package: str, versions: Versions) -> None:
    """Judge one package in all the versions that the locks have of it."""
    seen.figures["packages"] += 1
    entry = seen.known.packages.get(package)
    if entry is None:
        named = ", ".join(versions)
        seen.problems.append(f"{package} {named} was never checked: the file has no entry for it. {RENEW}")
        return
    seen.figures["advisories"] += len(entry.vulns)
    for version, where in versions.items():
        if version not in entry.locked:
            seen.problems.append(
                f"{where[0]} is newer than the advisories: it has {package} {version}, and they were asked"
                f" for {', '.join(entry.locked)}. {RENEW}"
            )
        for vuln in entry.vulns:
            if not vuln.get("withdrawn"):
                _hold_against(seen, vuln, package, version, where)
    if not entry.whole:
        _in_part(seen, package, entry)


def _in_part(seen: Audit, package: str, entry: Entry) -> None:
    """A release takes no excuse for what was not asked whole."""
    seen.figures["in part"] += 1
    if not seen.excuses(package, [None]) or seen.release:
        seen.problems.append(
            f"{package} was checked in part: {', '.join(entry.sources)} may not list all advisories. {RENEW}"
        )


def _hold_against(seen: Audit, vuln: Mapping[str, Any], package: str, version: str, where: list[str]) -> None:
    """Tell when an advisory hits this version, or cannot be judged."""
    try:
        found = hit(version, vuln["affected"])
    except UnreadableRange as bad:
        seen.problems.append(f"{vuln['id']}: {package} cannot be judged by it: {bad}. Correct the file.")
        return
    if found is None:
        return
    seen.figures["affected"] += 1
    if not seen.excuses(package, [vuln["id"], *vuln.get("aliases", [])]):
        seen.problems.append(_affected(vuln, f"{package} {version} in {', '.join(where)}", found.fixed))


def _affected(vuln: Mapping[str, Any], what: str, fixed: str | None) -> str:
    todo = (
        f"fixed in {fixed}. Raise it: `make lock`, then `make advisories`"
        if fixed
        else "no fixed version is known. Do without it, or see whether what is affected is used here"
    )
    named = ", ".join(vuln.get("aliases", [])) or "no other name"
    return (
        f"{vuln['id']} ({named}): {what} is affected; {todo}. What must stay needs a dated reason in"
        f" supply/{advisories.EXCEPTIONS.name}. https://osv.dev/vulnerability/{vuln['id']}"
    )


def _left_over(known: Advisories, locked: Mapping[str, Versions]) -> Iterator[str]:
    """An entry for what is not locked would be taken for a check some day."""
    for package, entry in known.packages.items():
        gone = set(entry.locked) - set(locked.get(package, ()))
        if gone:
            yield f"The file has {package} {', '.join(sorted(gone))}, and no lock has. {RENEW}"


def _tell_what_passed(seen: Audit, today: date) -> None:
    """One line for each advisory; what was checked in part for one and the same reason is told together."""
    passed = [one for one in seen.used if seen.as_of <= one.until]
    told = Counter((one.id and str(one), one.until, one.reason) for one in passed)
    for (one, until, reason), count in told.items():
        over = " - by today it has run out" if until < today else ""
        seen.notes.append(f"let pass: {one or f'{count} checked in part, until {until}'}: {reason}{over}")


def _tell_age(seen: Audit, days: int) -> None:
    seen.figures["days old"] = days
    if seen.release and not 0 <= days <= RELEASE_WITHIN_DAYS:
        seen.problems.append(
            f"A release needs advisories of the last {RELEASE_WITHIN_DAYS} days;"
            f" these are of {seen.known.taken}. {RENEW}"
        )
    elif days > TOLD_AFTER_DAYS:
        seen.notes.append(
            f"the advisories are {days} days old: what became known since is not in them. {RENEW}"
        )


def main(arguments: list[str] | None = None, root: Path = locks.ROOT) -> int:
    """Print every note and problem, then the figures as one line of JSON; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make audit", description="Hold the locks to the advisory file.")
    parser.add_argument("--release", action="store_true", help="judge by today: a stale file is a failure")
    chosen = parser.parse_args(arguments)
    try:
        seen = audit(root, datetime.now(UTC).date(), release=chosen.release)
    except locks.Unreadable as bad:
        sys.stderr.write(f"{bad}\n")
        return 2
    sys.stdout.writelines(f"note: {note}\n" for note in seen.notes)
    sys.stdout.flush()
    sys.stderr.writelines(f"{problem}\n" for problem in seen.problems)
    names = ("packages", "advisories", "affected", "in part", "days old")
    figures = {name.replace(" ", "_"): seen.figures[name] for name in names}
    sys.stdout.write(
        json.dumps({**figures, "let_pass": len(seen.used), "problems": len(seen.problems)}) + "\n"
    )
    return 1 if seen.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
