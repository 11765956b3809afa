"""I2 and I7: every token that was handed out worked at some instant of the call, and was the user's own."""

from __future__ import annotations

from tests.chaos.check.evidence import Finding

_OK = 200
_ROUNDING_MS = 1.0


def handed_out(evidence):
    """Return the answers with a token."""
    return [line for line in evidence.answers if line["status"] == _OK and line["answered"]]


def no_dead_answers(evidence):
    """I2: no token was dead upstream before it was asked for."""
    for line in handed_out(evidence):
        pair = evidence.issued.get(line["answered"])
        if pair is None:
            continue
        if pair.ends_ms < line["sent_ms"] - _ROUNDING_MS:
            dead_ms = line["sent_ms"] - pair.ends_ms
            yield Finding("dead_answers", f"{_named(line)}, dead for {dead_ms:.0f} ms when it was asked for")


def nobody_gets_anothers_token(evidence):
    """I7: what is handed out was issued to the user it was asked for, and carries nothing else."""
    for line in handed_out(evidence):
        pair = evidence.issued.get(line["answered"])
        if pair is None:
            yield Finding("cross_user", f"{_named(line)}, which upstream never issued")
        elif pair.user != line["user"]:
            yield Finding("cross_user", f"{_named(line)}, which is user {pair.user}'s")
        if line.get("more"):
            yield Finding("leaks", f"{_named(line)} with more than it may hold: {sorted(line['more'])}")


def _named(line):
    who = f"{line['kind']} of user {line['user']} at {line['by']}"
    return f"{who}, sent {line['sent_ms']:.0f}: {line['answered']}"
