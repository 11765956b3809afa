"""All that is known of a run when it is over, looked up the ways the checks ask for it.

Read from files alone: the stand-in's journal, the clients' log, rows of the database, what was done and
when. Knows nothing of the broker's code; a fingerprint is computed as its documentation says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import orjson

from tests.chaos import folder as names


class Finding(NamedTuple):
    """Something that must not be: which figure it counts for, and what was seen."""

    kind: str
    text: str


class Issued(NamedTuple):
    """A pair as upstream issued it; `ends_ms` is when its access token stopped being good."""

    user: int
    access: str
    refresh: str
    at_ms: float
    ends_ms: float


@dataclass
class Evidence:
    """One run."""

    run: dict
    journal: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    blows: list = field(default_factory=list)
    audit: list = field(default_factory=list)
    grants: list = field(default_factory=list)
    lineage: list = field(default_factory=list)

    @classmethod
    def of(cls, folder):
        """Read it from a run's folder."""
        read = (names.JOURNAL, names.ANSWERS, names.BLOWS, names.AUDIT, names.GRANTS, names.LINEAGE)
        run = orjson.loads((folder / names.RUN).read_bytes())
        return cls(run, *(names.read_lines(folder / name) for name in read))

    @cached_property
    def issued(self):
        """Every pair by its access token."""
        ended = {
            token: line["committed_ms"]
            for line in self.journal
            if line["committed"]
            for token in line["revoked_access"]
        }
        return {
            line["issued_access"]: Issued(
                line["user_id"],
                line["issued_access"],
                line["issued_refresh"],
                line["committed_ms"],
                min(line["expires_ms"], ended.get(line["issued_access"], line["expires_ms"])),
            )
            for line in self.journal
            if line["issued_access"] is not None
        }

    @cached_property
    def generations(self):
        """User and generation under which a refresh token was stored, by that token."""
        key = base64.b64decode(self.run["secrets"]["fingerprint_key"])
        stored = {row["fingerprint"]: (row["user"], row["generation"]) for row in self.lineage}
        found = {}
        for line in self.journal:
            raw = (line["tokens"] or {}).get("issued_access")
            if raw is not None:
                fingerprint = hmac.new(key, raw.encode(), hashlib.sha256).hexdigest()
                if fingerprint in stored:
                    found[line["issued_refresh"]] = stored[fingerprint]
        return found

    @cached_property
    def audit_by_user(self):
        """What happened to each user's grant, in order."""
        by_user = {}
        for row in self.audit:
            by_user.setdefault(row["user"], []).append(row)
        return by_user

    @cached_property
    def rotations(self):
        """Pairs that were replaced in the database."""
        return sum(
            after["generation"] != before["generation"]
            for rows in self.audit_by_user.values()
            for before, after in pairwise(rows)
        )

    def done(self, *what):
        """Return what was done of these kinds."""
        return [blow for blow in self.blows if blow["what"] in what]

    def moment_ms(self, what):
        """Return when something was done, None when it was not."""
        return next((blow["at_ms"] for blow in self.done(what)), None)
