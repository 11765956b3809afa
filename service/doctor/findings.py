"""What an examination says: a check, how it stands, what was seen, and how to mend it. Holds no rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check stands. Only WRONG makes the command fail."""

    FINE = "fine"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: `check` is dotted and stable, its first word the area; `what` and `mend` are for people."""

    check: str
    state: State
    what: str
    mend: str = ""


def fine(check: str, what: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check, State.FINE, what)


def doubtful(check: str, what: str, mend: str) -> Finding:
    """Say that something works and is probably not meant."""
    return Finding(check, State.DOUBTFUL, what, mend)


def wrong(check: str, what: str, mend: str) -> Finding:
    """Say that something keeps the broker from its work or from its promises."""
    return Finding(check, State.WRONG, what, mend)


def unseen(check: str, what: str) -> Finding:
    """Say that something could not be looked at; the reason is a finding of its own."""
    return Finding(check, State.UNSEEN, what)


def has_any(state: State, findings: Iterable[Finding]) -> bool:
    """Whether one of them stands so."""
    return any(finding.state is state for finding in findings)
