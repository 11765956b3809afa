"""`python -m tests.chaos.check <folder>`: judges a run from what was written down, in a process of its own.

Findings go to standard error, the figures as one JSON object to standard output. Exit code 1 when an
invariant broke.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import orjson

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.figures import figures_of
from tests.chaos.check.verdict import findings_of

_SHOWN = 20


def main(folder):
    """Judge one run; returns the exit code."""
    evidence = Evidence.of(folder)
    findings = findings_of(evidence, folder)
    shown = Counter()
    for finding in findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= _SHOWN:
            sys.stderr.write(f"{finding.kind}: {finding.text}\n")
    sys.stderr.flush()
    sys.stdout.write(orjson.dumps(figures_of(evidence, findings)).decode() + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
