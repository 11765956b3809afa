"""I1 and availability: who was served, when, and what part of all requests was answered."""

from __future__ import annotations

from tests.chaos.check.evidence import Finding

_OK = 200
AVAILABLE = 0.99
JUDGED_FROM_S = 300.0
"""A shorter campaign has too few requests for its availability to say anything: it is only told."""
REQUESTS_A_ROTATION = 10
DARK_AT_MOST = 0.05


def nobody_is_bricked(evidence):
    """I1: soon after the last fault every user has a token that works, whichever replica is asked."""
    calm_ms = evidence.moment_ms("calm")
    services = [name for name in evidence.run["replicas"] if name.startswith("service")]
    by_ms = calm_ms + 1000 * evidence.run["served_within_s"]
    served = {
        (line["user"], line["by"])
        for line in evidence.answers
        if line["kind"] == "calm" and line["done_ms"] <= by_ms and _works(evidence, line)
    }
    for user in sorted({row["user"] for row in evidence.grants}):
        missing = [name for name in services if (user, name) not in served]
        if missing:
            yield Finding("bricked", f"user {user} was not served in time by {', '.join(missing)}")


def nothing_ends_by_itself(evidence):
    """I11: no process ended but those that were struck, and those that were asked to ended well."""
    for blow in evidence.done("ended_by_itself", "never_up"):
        yield Finding("crashes", str(blow))


def availability(evidence):
    """Return the share of requests under faults that were answered with a token, and their number."""
    requests = under_faults(evidence)
    if not requests:
        return None, 0
    return sum(line["status"] == _OK for line in requests) / len(requests), len(requests)


def under_faults(evidence):
    """Return the requests from the first fault to the last, those apart that met with our own darkness."""
    begin_ms, end_ms = evidence.moment_ms("faults_begin"), evidence.moment_ms("faults_end")
    if begin_ms is None or end_ms is None:
        return []
    dark = [(blow["from_ms"], blow["to_ms"]) for blow in evidence.done("dark")]
    return [
        line
        for line in evidence.answers
        if begin_ms <= line["sent_ms"] <= end_ms
        and not any(line["sent_ms"] < to_ms and line["done_ms"] > from_ms for from_ms, to_ms in dark)
    ]


def dark_s(evidence):
    """Return how long, under faults, we ourselves had every replica or both stores stopped."""
    begin_ms, end_ms = evidence.moment_ms("faults_begin"), evidence.moment_ms("faults_end")
    if begin_ms is None or end_ms is None:
        return 0.0
    dark = evidence.done("dark")
    spans = (min(blow["to_ms"], end_ms) - max(blow["from_ms"], begin_ms) for blow in dark)
    return sum(max(0.0, span) for span in spans) / 1000


def enough_is_answered(evidence):
    """In a long campaign at least 99 % are answered, and neither load nor darkness make that easy."""
    begin_ms, end_ms = evidence.moment_ms("faults_begin"), evidence.moment_ms("faults_end")
    if begin_ms is None or end_ms is None:
        return
    duration_s = (end_ms - begin_ms) / 1000
    share, many = availability(evidence)
    if duration_s >= JUDGED_FROM_S - 1 and share < AVAILABLE:
        yield Finding("unavailable", f"{share:.4f} of {many} requests were answered")
    if many > REQUESTS_A_ROTATION * max(1, evidence.rotations):
        yield Finding("unavailable", f"{many} requests for {evidence.rotations} rotations prove nothing")
    if duration_s >= JUDGED_FROM_S - 1 and dark_s(evidence) > DARK_AT_MOST * duration_s:
        yield Finding("unavailable", f"everything was stopped for {dark_s(evidence):.1f} s")


def _works(evidence, line):
    pair = evidence.issued.get(line["answered"])
    return line["status"] == _OK and pair is not None and pair.ends_ms >= line["sent_ms"]
