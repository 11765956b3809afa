"""The hash-pinned locks as what they name: packages, versions, hashes, and who wants each.

A line that is not understood is an error, never skipped: what is not read would not be audited either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Every platform's and everybody's; the two that the image is made of are cut from it.
ALL, IMAGE, IMAGE_BUILD = "requirements.lock", "requirements-run.lock", "requirements-build.lock"
LOCKS = (ALL, IMAGE, IMAGE_BUILD)

_PINNED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))?(?: \\)?"
)
_HASH = re.compile(r" {4}--hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?")
_WANTED = re.compile(r" {4}# (?:via(?: (?P<only>.+))?|  (?P<one>.+))")


class Unreadable(Exception):
    """A file of the supply chain is not what it must be; the message says where and what."""


@dataclass(frozen=True)
class Locked:
    """One package of a lock; `wanted_by` are the packages that ask for it, or the project itself."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def read_lock(path: Path) -> list[Locked]:
    """Return what a lock pins, in its order. Raises Unreadable."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise Unreadable(f"{path.name} cannot be read: {wrong}") from None
    found: list[Locked] = []
    for number, line in enumerate(lines, start=1):
        if pinned := _PINNED.fullmatch(line):
            found.append(Locked(pinned["name"], pinned["version"], pinned["marker"] or "", (), ()))
        elif line and not line.startswith("#"):
            if not found:
                raise Unreadable(f"{path.name}:{number} belongs to no package: {line}")
            found[-1] = _with(found[-1], line, f"{path.name}:{number}")
    bare = [one.name for one in found if not one.hashes]
    if bare or not found:
        raise Unreadable(
            f"{path.name} pins no hash for: {', '.join(bare) or 'anything, it names no package'}"
        )
    return found


def _with(one: Locked, line: str, where: str) -> Locked:
    """Return the package with what a line under it adds."""
    if hashed := _HASH.fullmatch(line):
        return Locked(one.name, one.version, one.marker, (*one.hashes, hashed["hash"]), one.wanted_by)
    wanted = _WANTED.fullmatch(line)
    if not wanted:
        raise Unreadable(f"{where} is neither a package, a hash nor who wants it: {line}")
    named = wanted["only"] or wanted["one"]
    if named is None or named.startswith("-c "):
        return one
    return Locked(one.name, one.version, one.marker, one.hashes, (*one.wanted_by, named))


def versions(root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Return every package that the locks name: its versions, and the locks that have each."""
    found: dict[str, dict[str, list[str]]] = {}
    for lock in LOCKS:
        for one in read_lock(root / lock):
            found.setdefault(one.name, {}).setdefault(one.version, []).append(lock)
    return found
