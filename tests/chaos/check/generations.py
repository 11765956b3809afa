"""I6: generations strictly increase, nothing is answered before it is committed, and at rest all agree."""

from __future__ import annotations

from itertools import pairwise

from tests.chaos.check.evidence import Finding

_DOUBTED = ("refresh_token_dead", "claim_owner", "refused")


def generations_increase(evidence):
    """A user's generation never goes back, and none is used twice."""
    for user, rows in evidence.audit_by_user.items():
        for before, after in pairwise(rows):
            if after["generation"] < before["generation"]:
                text = f"user {user} went from {before['generation']} back to {after['generation']}"
                yield Finding("generations", text)
    seen = set()
    for row in evidence.lineage:
        line = (row["user"], row["generation"])
        if line in seen:
            yield Finding("generations", f"user {line[0]} has generation {line[1]} twice")
        seen.add(line)


def nothing_is_answered_uncommitted(evidence):
    """No answer, and so no cache, is ahead of the database."""
    committed = {}
    for user, rows in evidence.audit_by_user.items():
        for row in rows:
            committed.setdefault((user, row["generation"]), row["at_ms"])
    for line in evidence.answers:
        if line.get("generation") is None:
            continue
        at_ms = committed.get((line["user"], line["generation"]))
        if at_ms is None or at_ms > line["done_ms"]:
            text = f"user {line['user']} was answered generation {line['generation']} by {line['by']}"
            yield Finding("generations", f"{text} at {line['done_ms']:.0f}, committed {at_ms}")


def rows_and_upstream_agree(evidence):
    """At rest the refresh token of each row without a mark can still be exchanged."""
    tokens = {line: token for token, line in evidence.generations.items()}
    spent = {line["consumed"] for line in evidence.journal if line["consumed"]}
    spent.update(token for line in evidence.journal for token in line["revoked_refresh"])
    for row in evidence.grants:
        token = tokens.get((row["user"], row["generation"]))
        if row["state"] != "LIVE" or any(row[mark] for mark in _DOUBTED):
            continue
        if token is None or token in spent:
            yield Finding(
                "generations", f"at rest the refresh token of user {row['user']} is not good: {token}"
            )
