"""The committed advisory file: what a public source said of every locked package on one day.

Its form is close to OSV's. Beside it stand the exceptions: dated, reasoned, and void after their last day.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from supply.locks import ROOT, Unreadable

FILE = ROOT / "supply" / "advisories.json"
EXCEPTIONS = ROOT / "supply" / "exceptions.toml"
# An exception is a promise to look again; for longer, it must be made again.
LONGEST_DAYS = 90


@dataclass(frozen=True)
class Entry:
    """What is known of a package: the versions it was asked for, whether all is, and its advisories."""

    locked: list[str]
    sources: list[str]
    whole: bool
    vulns: list[dict[str, Any]]


@dataclass(frozen=True)
class Advisories:
    """The whole file."""

    taken: date
    packages: dict[str, Entry]


@dataclass(frozen=True)
class Exempt:
    """One thing that is let pass: an advisory of a package or, without an id, that it was checked in part."""

    package: str
    id: str | None
    dated: date
    until: date
    reason: str

    def __str__(self) -> str:
        return f"{self.package}, {self.id or 'checked in part'}, until {self.until}"


def load(path: Path = FILE) -> Advisories:
    """Return the advisory file. Raises Unreadable: an entry that is not whole is not guessed at."""
    try:
        told = json.loads(path.read_text())
        lists_all = {name: source["lists"] == "all" for name, source in told["sources"].items()}
        packages = {name: _entry(one, lists_all) for name, one in told["packages"].items()}
        return Advisories(date.fromisoformat(told["taken"]), packages)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as bad:
        raise Unreadable(f"{path.name} is not an advisory file: {bad!r}") from bad


def _entry(told: Mapping[str, Any], lists_all: Mapping[str, bool]) -> Entry:
    sources = list(told["sources"])
    if not sources:
        raise ValueError("an entry must name its sources")
    for vuln in told["vulns"]:
        if not vuln["id"] or not isinstance(vuln["affected"], list):
            raise ValueError(f"an advisory must have an id and what it affects: {vuln}")
    whole = any(lists_all[source] for source in sources)
    return Entry(list(told["locked"]), sources, whole, list(told["vulns"]))


def load_exceptions(path: Path = EXCEPTIONS) -> list[Exempt]:
    """Return what is let pass. Raises Unreadable when one has no reason, no dates, or too long a life."""
    try:
        told = tomllib.loads(path.read_text())
        found = [_exempt(one, one["package"], one["id"]) for one in told.get("advisory", [])]
        for one in told.get("in_part", []):
            found += [_exempt(one, package, None) for package in one["packages"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as bad:
        raise Unreadable(f"{path.name} holds no exceptions that can be judged: {bad!r}") from bad
    return found


def _exempt(told: Mapping[str, Any], package: str, of: str | None) -> Exempt:
    one = Exempt(package, of, told["dated"], told["until"], str(told["reason"]).strip())
    if not one.reason:
        raise ValueError(f"{one}: say why")
    if not 0 <= (one.until - one.dated).days <= LONGEST_DAYS:
        raise ValueError(f"{one}: it may last {LONGEST_DAYS} days from {one.dated}")
    return one


def matching(exempts: Iterable[Exempt], package: str, ids: Iterable[str | None]) -> list[Exempt]:
    """Return the exceptions for a package and any of these ids; an advisory goes by its aliases, too."""
    wanted = set(ids)
    return [one for one in exempts if one.package == package and one.id in wanted]
