"""Decides from what was written down whether a schedule kept the invariants.

Knows nothing of the broker's inside. Each check takes the evidence and yields a text for every finding.
"""

from __future__ import annotations

from datetime import timedelta

from service.broker.errors import BrokerError, TokenUnknown
from service.broker.policy import min_life
from tests.simulation.evidence import named
from tests.simulation.orders import what_was_ordered_holds
from tests.simulation.people import FORGED
from tests.simulation.replicas import Gone, Impatient
from tests.simulation.rotations import generations_increase, no_refresh_token_is_spent_twice
from tests.simulation.tables import Revoked

_ROUNDING_S = 1.1
_JOINED_S = 5.0
"""Who joins a check may do so while its outcome is being written down."""


def findings_of(evidence):
    """Return everything that is wrong, as texts."""
    return [text for check in CHECKS for text in check(evidence)]


def no_dead_answers(evidence):
    """I2: no token was dead upstream before it was asked for."""
    for call, token in evidence.handed_out:
        access = evidence.upstream.minted.get(token)
        if access is None:
            yield f"I7 token that upstream never issued: {named(call)} got {token}"
        elif access.user_gone or access.ends_at >= evidence.begun_at(call, token):
            continue
        elif not evidence.excused(call):
            yield f"I2 dead answer: {named(call)} got {token}, dead since {access.ends_at:.3f}"


def no_answer_without_life(evidence):
    """Every token had the life it must have when it was decided on, by our clock and by upstream's."""
    for call, token in evidence.handed_out:
        access = evidence.upstream.minted.get(token)
        life_s = min_life(call.outcome.lifetime, evidence.terms).total_seconds()
        least = timedelta(seconds=max(life_s, call.min_ttl_s))
        if call.decided_at is None or access is None:
            yield f"answer that was never decided on: {named(call)} got {token}"
        elif call.outcome.expires_at - call.decided_by_clock < least:
            yield f"answer without life: {named(call)} got {token}"
        elif access.expires_at - call.decided_at < life_s - _ROUNDING_S - abs(call.clock_error_s):
            yield f"answer that ends at once: {named(call)} got {token}"


def nobody_gets_back_what_was_refused(evidence):
    """The presented token is handed back only when upstream has confirmed it during the call."""
    for call, token in evidence.handed_out:
        since = call.started_at - _JOINED_S
        if token == call.presented and not any(
            one.answered_at >= since and one.sent_at <= call.answered_at
            for one in evidence.confirmed.get(token, ())
        ):
            yield f"presented token handed back unconfirmed: {named(call)} got {token}"


def nobody_gets_anothers_token(evidence):
    """I7: what is handed out was stored for the user it was asked for."""
    for call, token in evidence.handed_out:
        stored = evidence.stored.get(token)
        if stored is None or stored.key != call.key:
            yield f"I7 foreign token: {named(call)} got {token}"
        if call.presented is not None and call.presented.startswith(FORGED):
            yield f"I8 forged token answered: {named(call)} got {token}"


def nobody_is_turned_away(evidence):
    """A token that was stored, not revoked and not out of its window identifies its user."""
    for call in evidence.journal.calls:
        stored = evidence.presented(call)
        if not isinstance(call.outcome, TokenUnknown) or stored is None or stored.at > call.started_at:
            continue
        revoked = any(
            entry.key == stored.key and entry.generation >= stored.generation and entry.at <= call.answered_at
            for entry in evidence.of(Revoked)
        )
        gone = evidence.upstream.minted[call.presented].user_gone
        if not revoked and not gone and evidence.live_throughout(stored.key, call):
            yield f"I8 turned away: {named(call)} with {call.presented}"


def no_user_is_made_twice(evidence):
    """Upstream has no second user with the same address."""
    emails = [user.email for user in evidence.upstream.users.values()]
    for email in sorted({one for one in emails if emails.count(one) > 1}):
        yield f"two users upstream for {email}"


def nothing_goes_unheard(evidence):
    """Nothing was raised but what the broker says it raises, and nothing failed unheard."""
    for call in evidence.journal.calls:
        failed = isinstance(call.outcome, Exception)
        if failed and not isinstance(call.outcome, (BrokerError, Gone, Impatient)):
            yield f"unhandled: {named(call)} got {call.outcome!r}"
    yield from (f"unhandled: {text}" for text in evidence.loop.complaints)
    yield from (f"unheard: {task.exception()!r}" for task in evidence.loop.unheard())


CHECKS = (
    no_dead_answers,
    no_answer_without_life,
    nobody_gets_back_what_was_refused,
    nobody_gets_anothers_token,
    nobody_is_turned_away,
    what_was_ordered_holds,
    no_refresh_token_is_spent_twice,
    generations_increase,
    no_user_is_made_twice,
    nothing_goes_unheard,
)
