"""Counts what happened from outside: the sandbox's journal, the clients' log, and generations in PostgreSQL.

Takes nothing of the broker's word. Pure but for reading a file; must import nothing of the broker.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sandbox.smoke.answers import Asked

Line = Mapping[str, Any]

SLACK_MS = 250.0
"""An answer's way: the broker counts a lifetime from when it sent the call, upstream from when it came."""
_REPLACING = ("refresh", "force")
_MUST_SUCCEED = ("create", "refresh", "force", "delete")
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair as upstream issued it."""

    user_id: int
    access: str
    refresh: str
    issued_ms: float
    expires_ms: float


@dataclass(frozen=True, slots=True)
class Rotation:
    """A pair that was replaced: when the call came, when the transaction was written, and by what."""

    pair: Pair
    started_ms: float
    committed_ms: float
    successor: Pair


@dataclass(frozen=True, slots=True)
class Figures:
    """What `make smoke` ends with."""

    users: int
    pairs_replaced: int
    min_replaced_per_user: int
    upstream_refreshes: int
    needless_refreshes: int
    refreshed_ahead: int
    refreshed_on_request: int
    superseded_answers: int
    two_tabs_ok: bool
    refresh_tokens_spent_twice: int
    errors: int
    leaks: int = 0


def read_journal(path: Path) -> list[Line]:
    """Return the journal's lines in the order in which they were written."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def count(
    journal: Sequence[Line], asked: Sequence[Asked], generations: Mapping[int, int], margin_ms: float
) -> Figures:
    """Return the figures; `generations` says how many pairs each upstream user has had.

    `margin_ms` is the refresh margin.
    """
    pairs = issued(journal)
    rotations = rotations_of(journal, pairs)
    replaced = [number - 1 for number in generations.values()]
    ahead = sum(is_ahead(rotation, asked) for rotation in rotations)
    return Figures(
        users=len(generations),
        pairs_replaced=sum(replaced),
        min_replaced_per_user=min(replaced, default=0),
        upstream_refreshes=sum(line["route"] in _REPLACING for line in journal),
        needless_refreshes=sum(is_needless(rotation, asked, margin_ms) for rotation in rotations),
        refreshed_ahead=ahead,
        refreshed_on_request=len(rotations) - ahead,
        superseded_answers=sum(is_superseded(question, rotations) for question in asked),
        two_tabs_ok=tabs_agree(asked),
        refresh_tokens_spent_twice=spent_twice(journal),
        errors=errors(journal, asked, pairs),
    )


def issued(journal: Iterable[Line]) -> dict[str, Pair]:
    """Return every pair by its access token."""
    pairs = (
        Pair(
            line["user_id"],
            line["issued_access"],
            line["issued_refresh"],
            line["committed_ms"],
            line["expires_ms"],
        )
        for line in journal
        if line["issued_access"] is not None
    )
    return {pair.access: pair for pair in pairs}


def rotations_of(journal: Iterable[Line], pairs: Mapping[str, Pair]) -> list[Rotation]:
    """Return every replacement that was carried out: of the presented pair, or of the newest when forced."""
    by_refresh = {pair.refresh: pair for pair in pairs.values()}
    newest: dict[int, Pair] = {}
    found = []
    for line in sorted(journal, key=lambda line: line["committed_ms"] or 0):
        if line["issued_access"] is None:
            continue
        successor = pairs[line["issued_access"]]
        before = by_refresh.get(line["presented"]) or newest.get(successor.user_id)
        if line["route"] in _REPLACING and before is not None:
            found.append(Rotation(before, line["started_ms"], line["committed_ms"], successor))
        newest[successor.user_id] = successor
    return found


def is_needless(rotation: Rotation, asked: Iterable[Asked], margin_ms: float) -> bool:
    """Whether the pair was neither inside its refresh margin, at its widest, nor complained about."""
    pair = rotation.pair
    widest = min(1.5 * margin_ms, (pair.expires_ms - pair.issued_ms) / 2)
    inside = rotation.started_ms >= pair.expires_ms - widest - SLACK_MS
    complained = any(
        question.presented == pair.access
        and question.answered
        != question.presented  # handed back: upstream had confirmed it, no complaint is left
        and question.sent_ms <= rotation.committed_ms
        for question in asked
    )
    return not inside and not complained


def is_ahead(rotation: Rotation, asked: Iterable[Asked]) -> bool:
    """Whether the pair was replaced before its end with no complaint about it outstanding."""
    started = rotation.started_ms
    outstanding = any(
        question.presented == rotation.pair.access and question.sent_ms <= started <= question.done_ms
        for question in asked
    )
    return started < rotation.pair.expires_ms and not outstanding


def is_superseded(question: Asked, rotations: Iterable[Rotation]) -> bool:
    """Whether an old token was answered with a pair that was there already when it was presented."""
    if question.presented is None or question.answered in {None, question.presented}:
        return False
    known = [rotation for rotation in rotations if rotation.committed_ms <= question.sent_ms]
    replaced = any(rotation.pair.access == question.presented for rotation in known)
    return replaced and any(rotation.successor.access == question.answered for rotation in known)


def tabs_agree(asked: Iterable[Asked]) -> bool:
    """Whether tabs that asked together were given the same token, each time, and did so at all."""
    occasions: defaultdict[str, list[Asked]] = defaultdict(list)
    for question in asked:
        if question.occasion is not None:
            occasions[question.occasion].append(question)
    return bool(occasions) and all(
        len(tabs) > 1 and len({tab.answered for tab in tabs}) == 1 and all(tab.good for tab in tabs)
        for tabs in occasions.values()
    )


def spent_twice(journal: Iterable[Line]) -> int:
    """Return how many times a refresh token was presented again."""
    presented = Counter(line["presented"] for line in journal if line["presented"] is not None)
    return sum(times - 1 for times in presented.values())


def errors(journal: Iterable[Line], asked: Iterable[Asked], pairs: Mapping[str, Pair]) -> int:
    """Count answers without a working token of the right user, and calls that upstream did not carry out."""
    failed = sum(
        line["route"] in _MUST_SUCCEED and not (line["status"] in _OK and line["answered"])
        for line in journal
    )
    return failed + sum(not question.good or not _own(question, pairs) for question in asked)


def _own(question: Asked, pairs: Mapping[str, Pair]) -> bool:
    pair = pairs.get(question.answered or "")
    return pair is not None and pair.user_id == question.cal_user_id
