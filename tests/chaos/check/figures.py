"""The figures of a run, as its last line tells them."""

from __future__ import annotations

from collections import Counter

from tests.chaos.check.answers import handed_out
from tests.chaos.check.service import availability, dark_s, under_faults

_OK = 200
_FAILING = (
    "bricked", "dead_answers", "double_spends", "cross_user", "leaks", "overlaps", "generations", "crashes",
    "unavailable",
)  # fmt: skip
_RESTARTS = ("restart", "redis_kill", "postgres_restart", "postgres_kill")


def figures_of(evidence, findings):
    """Return them."""
    found, blows = (
        Counter(finding.kind for finding in findings),
        Counter(one["what"] for one in evidence.blows),
    )
    begin_ms, end_ms = evidence.moment_ms("faults_begin"), evidence.moment_ms("faults_end")
    share, requests = availability(evidence)
    forces = sum(line["route"] == "force" and line["committed"] for line in evidence.journal)
    return {
        "seed": evidence.run["seed"],
        "duration_s": round((end_ms - begin_ms) / 1000, 1) if begin_ms and end_ms else None,
        "users": len(evidence.grants),
        "rotations": evidence.rotations,
        "kills": blows["kill"],
        "stops": blows["stop"],
        "flushes": blows["flush"],
        "restarts": sum(blows[what] for what in _RESTARTS),
        "massacres": blows["massacre"],
        "redis_pauses": blows["redis_pause"],
        "upstream_faults": _upstream_faults(evidence),
        "answers": len(handed_out(evidence)),
        **{kind: found[kind] for kind in _FAILING},
        "forced_share": round(forces / max(1, evidence.rotations), 4),
        "availability": None if share is None else round(share, 5),
        "requests": requests,
        "unanswered": _unanswered(evidence),
        "dark_s": round(dark_s(evidence), 1),
    }


def _upstream_faults(evidence):
    return dict(
        Counter(kind for line in evidence.journal if not line["duplicate_of"] for kind in line["faults"])
    )


def _unanswered(evidence):
    failed = [line for line in under_faults(evidence) if line["status"] != _OK]
    return dict(Counter(f"{line['status']} {line['code'] or line.get('error')}" for line in failed))
