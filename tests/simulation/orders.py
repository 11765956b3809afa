"""Checks I8: what was revoked, replaced, paused or deleted stays so for everybody, from the answer on."""

from __future__ import annotations

from tests.simulation.evidence import named
from tests.simulation.tables import Revoked


def what_was_ordered_holds(evidence):
    """Yield everything that does not hold after an order that has succeeded."""
    for order in evidence.journal.calls:
        if not isinstance(order.outcome, Exception):
            for check in _HOLDS_AFTER.get(order.kind, ()):
                yield from check(evidence, order)
    yield from _bought_by_revoked_tokens(evidence)


def _after(evidence, order):
    """Yield the answers to calls for the same user that began after the order was answered."""
    for call, token in evidence.handed_out:
        later = call.key == order.key and call.started_at > order.answered_at
        if later and not evidence.excused(call):
            yield call, token


def _no_older_token(evidence, order):
    for call, token in _after(evidence, order):
        if call.outcome.generation < order.generation():
            yield f"I8 older token after {order.kind} by {order.by}: {named(call)} got {token}"


def _no_revoked_token_identifies(evidence, revoke):
    revoked = [
        entry.generation
        for entry in evidence.of(Revoked)
        if entry.key == revoke.key and revoke.started_at <= entry.at <= revoke.answered_at
    ]
    for call, token in _after(evidence, revoke):
        presented = evidence.presented(call)
        if call.kind != "browser" or presented is None:
            continue
        if presented.generation <= min(revoked, default=-1):
            yield f"I8 revoked token still identifies: {named(call)} got {token}"


def _nobody_is_served(evidence, order):
    resumed = [
        call.started_at
        for call in evidence.journal.calls
        if call.kind == "resume" and call.key == order.key and call.started_at >= order.answered_at
    ]
    until = min(resumed, default=float("inf"))
    for call, token in _after(evidence, order):
        if call.answered_at < until:
            yield f"I8 served after {order.kind} by {order.by}: {named(call)} got {token}"


def _bought_by_revoked_tokens(evidence):
    """Who presents a token that is revoked meanwhile gets nothing that was issued after that."""
    revoked = evidence.of(Revoked)
    for call, token in evidence.handed_out:
        presented = evidence.presented(call)
        if call.kind != "browser" or presented is None:
            continue
        if any(
            one.key == presented.key
            and presented.generation <= one.generation < call.outcome.generation
            and one.at < call.answered_at
            for one in revoked
        ):
            yield f"I8 revoked token bought a newer one: {named(call)} got {token}"


_HOLDS_AFTER = {
    "force": (_no_older_token,),
    "revoke": (_no_older_token, _no_revoked_token_identifies),
    "pause": (_nobody_is_served,),
    "delete": (_nobody_is_served,),
}
