"""Writes findings: a table for people, or one JSON object for programs; either without a secret in it."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from service.doctor.findings import Finding, State

_WORDS = {State.FINE: "fine", State.DOUBTFUL: "DOUBTFUL", State.WRONG: "WRONG", State.UNSEEN: "not seen"}
_STATE_WIDTH = max(map(len, _WORDS.values()))
NARROWEST, WIDEST = 72, 120


def as_table(findings: Sequence[Finding], width: int) -> str:
    """Return one row a finding, the mend below what is wrong, and a line that counts."""
    check_width = max((len(finding.check) for finding in findings), default=0)
    width = min(max(width, NARROWEST), WIDEST)
    rows = [line for finding in findings for line in _row(finding, check_width, width)]
    return "\n".join([*rows, "", _summary(findings)])


def _row(finding: Finding, check_width: int, width: int) -> list[str]:
    head = f"{_WORDS[finding.state]:<{_STATE_WIDTH}}  {finding.check:<{check_width}}  "
    indent = " " * len(head)
    lines = textwrap.wrap(finding.what, width, initial_indent=head, subsequent_indent=indent) or [head]
    if finding.mend:
        lines += textwrap.wrap(
            finding.mend, width, initial_indent=f"{indent}mend: ", subsequent_indent=indent + " " * 6
        )
    return lines


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.state for finding in findings)
    return ", ".join(f"{counts[state]} {state.value}" for state in _summarized(counts))


def _summarized(counts: Counter[State]) -> list[State]:
    order = (State.WRONG, State.DOUBTFUL, State.UNSEEN, State.FINE)
    return [state for state in order if counts[state] or state is State.WRONG]


def as_json(findings: Sequence[Finding], code: int) -> str:
    """Return the same as one object; `code` is what the command returns."""
    counts = Counter(finding.state for finding in findings)
    whole: dict[str, Any] = {
        "code": code,
        "counts": {state.value: counts[state] for state in State},
        "findings": [
            {"check": one.check, "state": one.state.value, "what": one.what, "mend": one.mend or None}
            for one in findings
        ],
    }
    return json.dumps(whole)
