"""I4 and I5: who presented a refresh token, or forced, against the claims and pairs that were committed.

A claim's stamp is the right to one call that rotates, until the next stamp or its deadline. Of a call that
was doubled or held up on its way only the first life counts: the broker sent it once.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.check.evidence import Finding

_ROTATING = {"refresh", "force"}


class Stamp(NamedTuple):
    """A claim was stamped: until its deadline, or the next stamp, one call may be made under it."""

    at_ms: float
    epoch: int
    owner: str


def no_refresh_token_is_spent_twice(evidence):
    """I4: no presentation after the successor was committed, or after it was known to be dead."""
    settled, dead = _ends(evidence)
    for call in _calls(evidence, {"refresh"}):
        line = evidence.generations.get(call["presented"])
        if line is None:
            yield Finding("double_spends", f"{_sent(call)} was never stored")
            continue
        yield from _too_late(call, "its successor was committed", settled.get(line))
        yield from _too_late(call, "it was known to be dead", dead.get(line))


def no_claim_carries_two_calls(evidence):
    """I4 and I5: no call while another's claim has not passed its deadline."""
    under = {}
    for call in _calls(evidence, _ROTATING):
        user = call["user_id"]
        stamps = _stamps(evidence, user)
        place = bisect_right(stamps, call["started_ms"], key=lambda stamp: stamp.at_ms) - 1
        if place < 0:
            yield Finding("double_spends", f"{_sent(call)} had no claim")
            continue
        stamp, before = stamps[place], under.get((user, place))
        deadline_ms = stamp.at_ms + 1000 * evidence.run["claim_deadline_s"]
        if before is not None and call["started_ms"] < deadline_ms:
            kind = "double_spends" if "refresh" in {call["route"], before["route"]} else "overlaps"
            text = f"{_sent(call)} came under the claim (epoch {stamp.epoch}) of another: {_sent(before)}"
            yield Finding(kind, text)
        under[user, place] = call


def _ends(evidence):
    """Return when the successor of each generation was committed, and when it was known to be dead."""
    settled, dead = {}, {}
    for user, rows in evidence.audit_by_user.items():
        for before, after in pairwise(rows):
            if after["generation"] != before["generation"]:
                settled.setdefault((user, before["generation"]), after["at_ms"])
        for row in rows:
            if row["refresh_token_dead"]:
                dead.setdefault((user, row["generation"]), row["at_ms"])
    return settled, dead


def _stamps(evidence, user):
    """Return a user's stamps in order; each is written down once, though its row changes again."""
    stamps = {
        Stamp(row["claimed_at_ms"], row["claim_epoch"], row["claim_owner"])
        for row in evidence.audit_by_user.get(user, ())
        if row["claim_owner"] is not None and row["claimed_at_ms"]
    }
    return sorted(stamps)


def _calls(evidence, routes):
    calls = [line for line in evidence.journal if line["route"] in routes and line["duplicate_of"] is None]
    return sorted(calls, key=lambda line: line["started_ms"])


def _too_late(call, what, at_ms):
    if at_ms is not None and call["started_ms"] > at_ms:
        late_ms = call["started_ms"] - at_ms
        yield Finding("double_spends", f"{_sent(call)} came {late_ms:.0f} ms after {what}")


def _sent(call):
    shown = call["presented"] or "no token"
    return f"{call['route']} {call['call']} of user {call['user_id']} ({shown}) at {call['started_ms']:.0f}"
