"""What a run left behind: what every process wrote, stores, metrics, answers; weighed into figures."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

from sandbox.secrecy import REFRESH_CLAIMS
from tests.chaos import folder as names
from tests.chaos.check.leaks import forms, nothing_leaks
from tests.hostile.cases import CANARY

_TRACE = "Traceback (most recent call last)"
_BROKEN = {"request.failed", "log.failed"}


def weigh(town, played, codes):
    """Return the figures of a run, and print what they were made of."""
    outputs = town.outputs()
    traces = [f"{name}: {line[:300]}" for name, text in outputs.items() for line in traced(text)]
    traces += [f"{name} ended with {code}" for name, code in codes.items() if code != 0]
    leaks = sorted(set(leaked(town)))
    wrong = [f"{case.row} {case.what}: {what}" for case, found in played for what in found]
    for kind, all_found in (("WRONG", wrong), ("TRACE", traces), ("LEAK", leaks)):
        sys.stdout.writelines(f"{kind} {what}\n" for what in all_found)
    return {
        "cases": len(played),
        "wrong": sum(bool(found) for _, found in played),
        "five_xx": max(_answered(town), _logged(outputs)) - town.documented,
        "tracebacks": len(traces),
        "leaks": len(leaks),
    }


def traced(text):
    """Yield the lines of a process's output that are a trace, tell of one, or are no log line at all."""
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            yield line
            continue
        if event.get("event") in _BROKEN or _TRACE in line:
            yield line


def _answered(town):
    return sum(answer.status >= 500 for answer in town.answers)


def _logged(outputs):
    lines = (
        json.loads(line) for text in outputs.values() for line in text.splitlines() if line.startswith("{")
    )
    return sum(line.get("event") == "request.done" and line.get("status", 0) >= 500 for line in lines)


def leaked(town):
    """Yield where a token, a secret, a key or what was sent stands that must not."""
    (town.folder / names.ANSWERS).write_bytes(b"\n".join(map(without_its_token, town.answers)))
    journal = names.read_lines(town.folder / names.JOURNAL)
    run = {"secrets": town.drawn["secrets"]}
    for finding in nothing_leaks(SimpleNamespace(run=run, journal=journal), town.folder):
        yield str(finding)
    files = [path for path in (town.folder / names.OUTPUT).rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        yield from (
            f"{path.name} holds what was sent, {form}"
            for form, needle in forms(CANARY.encode())
            if needle in content
        )


def without_its_token(answer):
    """Return an answer without the one access token that a good one is there for."""
    try:
        token = json.loads(answer.body).get("accessToken")
    except (ValueError, AttributeError):
        return answer.raw
    if answer.status != 200 or not token or REFRESH_CLAIMS in token:
        return answer.raw
    return answer.raw.replace(token.encode(), b"", 1)
