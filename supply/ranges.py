"""Whether a version is inside what an advisory calls affected: OSV's ranges, judged by PEP 440's order.

What cannot be judged is an error. A range of commits alone says nothing about a version, so that is one, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

Events = Sequence[Mapping[str, str]]
# In the order in which they hold at one and the same version: what closes comes after what opens.
_KINDS = {"introduced": 0, "fixed": 1, "last_affected": 2}


class UnreadableRange(Exception):
    """A range cannot be judged; the message says what is wrong with it."""


@dataclass(frozen=True)
class Hit:
    """A version is affected; `fixed` is the first later version that no longer is, if there is one."""

    fixed: str | None


def hit(version: str, affected: Iterable[Mapping[str, object]]) -> Hit | None:
    """Return how an advisory hits this version, None when it does not. Raises UnreadableRange."""
    found: list[Hit] = []
    for one in affected:
        ranges, listed = _parts(one)
        hits = [each for events in ranges if (each := _in_range(Version(version), events))]
        found += hits or ([Hit(None)] if _is_listed(Version(version), listed) else [])
    if not found:
        return None
    fixes = [each.fixed for each in found if each.fixed]
    return Hit(max(fixes, key=Version) if len(fixes) == len(found) else None)


def _parts(affected: Mapping[str, object]) -> tuple[list[Events], list[str]]:
    """Return the ranges that order versions, and the versions that are named one by one."""
    ranges, listed = affected.get("ranges", []), affected.get("versions", [])
    if not isinstance(ranges, list) or not isinstance(listed, list):
        raise UnreadableRange("`ranges` and `versions` must be lists")
    ordered: list[Events] = [_events(one) for one in ranges if one.get("type") in {"ECOSYSTEM", "SEMVER"}]
    if not ordered and not listed:
        raise UnreadableRange("it names no versions: neither a list nor a range that orders them")
    return ordered, listed


def _events(one: Mapping[str, object]) -> Events:
    events = one.get("events")
    if not isinstance(events, list) or not any("introduced" in event for event in events):
        raise UnreadableRange(f"a range must say where it begins: {one}")
    return events


def _in_range(version: Version, events: Events) -> Hit | None:
    """Go through the events in the order of their versions, as far as this version."""
    affected, fixed = False, None
    for at, kind, text in sorted(_event(event) for event in events):
        if at > version:
            fixed = fixed or (text if kind == _KINDS["fixed"] else None)
        elif kind == _KINDS["last_affected"]:
            affected = affected and at == version
        else:
            affected = kind == _KINDS["introduced"]
    return Hit(fixed) if affected else None


def _event(event: Mapping[str, str]) -> tuple[Version, int, str]:
    if len(event) != 1:
        raise UnreadableRange(f"an event must be one of {', '.join(_KINDS)}: {dict(event)}")
    ((kind, text),) = event.items()
    if kind not in _KINDS:
        raise UnreadableRange(f"an event must be one of {', '.join(_KINDS)}: {dict(event)}")
    try:
        return Version("0.dev0" if text == "0" else text), _KINDS[kind], text
    except (InvalidVersion, TypeError):
        raise UnreadableRange(f"{text!r} is no version") from None


def _is_listed(version: Version, listed: Iterable[str]) -> bool:
    """Return whether it is named; a name that PEP 440 does not know cannot be a locked version."""
    for text in listed:
        try:
            if Version(text) == version:
                return True
        except InvalidVersion:
            continue
    return False
