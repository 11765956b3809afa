"""Checks I4, I5 and I6: what was presented upstream, against the claims and pairs that were committed."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from tests.simulation.tables import KnownDead, Stamped, Stored
from tests.simulation.wire import ROTATING


class _Busy(NamedTuple):
    """A call under a claim, and until when nobody else may make one for this user."""

    owner: str
    epoch: int
    call: str
    until: float


def no_refresh_token_is_spent_twice(evidence):
    """I4, and I5: what two claims do upstream for one user does not overlap before the first's deadline."""
    successors = {(entry.key, entry.before): entry.at for entry in evidence.of(Stored)}
    dead = {(entry.key, entry.generation): entry.at for entry in evidence.of(KnownDead)}
    users = {row.upstream_id: row.user.key for row in evidence.tables.grants.values()}
    stamps, under_way = _stamps(evidence), {}
    for one in evidence.journal.exchanges:
        if one.call not in ROTATING:
            continue
        stored = evidence.stored_by_refresh_token.get(one.shown)
        if stored is not None:
            line = (stored.key, stored.generation)
            yield from _too_late(one, "its successor was committed", successors.get(line))
            yield from _too_late(one, "it was known to be dead", dead.get(line))
        key = stored.key if stored is not None else users.get(one.shown)
        stamp = _stamp_of(stamps.get((key, one.owner), []), one)
        if stamp is not None:
            yield from _overlaps(under_way.setdefault(key, []), stamp, one)


def generations_increase(evidence):
    """I6: a user's generations strictly increase, and no cache is ahead of its row."""
    newest = {}
    for entry in evidence.of(Stored):
        if entry.generation <= newest.get(entry.key, -1):
            yield f"I6 generation {entry.generation} of {entry.key.user_id} does not increase"
        newest[entry.key] = entry.generation
    for key, generation in evidence.journal.ahead_of_row:
        yield f"I6 cache is ahead of the row: {key.user_id} {generation}"


def _too_late(one, what, at):
    if at is not None and at < one.sent_at:
        yield f"I4 presented after {what}: {_sent(one)}"


def _overlaps(under_way, stamp, one):
    for busy in under_way:
        if (busy.owner, busy.epoch) != (stamp.owner, stamp.epoch) and one.sent_at < busy.until:
            yield f"I4/I5 overlaps a {busy.call} of {busy.owner} that is under way: {_sent(one)}"
    answered_at = stamp.deadline_at if one.answered_at is None else one.answered_at
    under_way.append(_Busy(stamp.owner, stamp.epoch, one.call, min(answered_at, stamp.deadline_at)))


def _stamps(evidence):
    stamps = {}
    for entry in evidence.of(Stamped):
        stamps.setdefault((entry.key, entry.owner), []).append(entry)
    return stamps


def _stamp_of(stamps, exchange):
    """Return the claim under which an exchange was made: its owner's latest before it."""
    place = bisect_right([entry.at for entry in stamps], exchange.sent_at)
    return stamps[place - 1] if place else None


def _sent(exchange):
    return f"{exchange.call} {exchange.shown} by {exchange.owner} at {exchange.sent_at:.3f}"
