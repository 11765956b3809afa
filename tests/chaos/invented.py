"""A small run as it should be, written by hand, for the checker's own tests: one user, two generations.

    run = Invented(); run.call(...); run.answer(...); run.evidence()

Instants are milliseconds; the claim's deadline is 2,500 of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from tests.chaos.check.evidence import Evidence

USER = 1001
KEY = b"k" * 32
SECRETS = {
    "client_secret": "a-client-secret-nobody-may-see",
    "api_key": "an-api-key-that-is-a-secret-too",
    "encryption_key": base64.b64encode(b"e" * 32).decode(),
    "fingerprint_key": base64.b64encode(KEY).decode(),
    "database_url": "postgresql://broker:the-database-password@127.0.0.1:5432/postgres",
    "redis_url": "redis://:the-password-of-redis-here@127.0.0.1:6379/0",
}
RUN = {
    "seed": 1,
    "replicas": {"service-0": {}, "worker-0": {}},
    "claim_deadline_s": 2.5,
    "served_within_s": 5.5,
    "secrets": SECRETS,
}
_LINE = {
    "duplicate_of": None, "presented": None, "consumed": None, "issued_access": None, "issued_refresh": None,
    "expires_ms": None, "revoked_access": [], "revoked_refresh": [], "committed": False, "committed_ms": None,
    "faults": [], "tokens": {}, "answered": True,
}  # fmt: skip
_ROW = {
    "user_id": "user-000", "user": USER, "state": "LIVE", "claim_owner": None, "claim_epoch": 0,
    "claim_kind": None, "claimed_at_ms": None, "refresh_token_dead": False,
}  # fmt: skip


class Invented:
    """Generation 1 was issued at 0; its refresh token was exchanged at 4,100 under a claim of 4,000."""

    def __init__(self):
        self.journal, self.answers, self.audit, self.lineage = [], [], [], []
        self.blows = [{"what": "calm", "at_ms": 6_000}]
        self.issue(0, 1)
        self.row(at_ms=10, generation=1)
        self.claim(4_000)
        self.issue(4_100, 2, route="refresh", presented="refresh-1", consumed="refresh-1")
        self.row(at_ms=4_150, generation=2, claim_epoch=1)
        self.answer("access-2", 6_000, kind="calm", generation=2)

    def call(self, at_ms, **fields):
        """A call that reached upstream."""
        seen = {"call": len(self.journal) + 1, "route": "refresh", "started_ms": at_ms, "user_id": USER}
        self.journal.append({**_LINE, **seen, **fields})

    def issue(self, at_ms, number, *, stored=True, route="create", lives_ms=8_000, **fields):
        """A call that issued pair `number`, which is its generation where it was stored."""
        names = {"issued_access": f"access-{number}", "issued_refresh": f"refresh-{number}"}
        written = {"committed": True, "committed_ms": at_ms, "expires_ms": at_ms + lives_ms}
        raw = {name: f"head.of.{token}.{'s' * 24}-{token}" for name, token in names.items()}
        self.call(at_ms, **{"route": route, "tokens": raw, **names, **written, **fields})
        if stored:
            digest = hmac.new(KEY, raw["issued_access"].encode(), hashlib.sha256).hexdigest()
            line = {"fingerprint": digest, "user": USER, "generation": number}
            self.lineage.append(line)

    def row(self, **fields):
        """What the grant's row became."""
        self.audit.append({**_ROW, **fields})

    def claim(self, at_ms, *, generation=1, epoch=1, owner="a", **fields):
        """A claim that was committed, or stamped anew."""
        stamp = {"claim_owner": owner, "claim_epoch": epoch, "claim_kind": "refresh"}
        self.row(**{"at_ms": at_ms, "claimed_at_ms": at_ms, "generation": generation, **stamp, **fields})

    def answer(self, token, at_ms, **fields):
        """What a client was answered."""
        line = {"kind": "token", "user": USER, "by": "service-0", "sent_ms": at_ms, "done_ms": at_ms + 50}
        answered = {"status": 200 if token else 503, "answered": token, "generation": None, "code": None}
        self.answers.append({**line, **answered, **fields})

    def evidence(self):
        """Return it as the checker reads it."""
        newest = self.audit[-1]
        grants = [{**newest, "reason": "", "refused": False, "distrusted_until": None}]
        parts = (self.journal, self.answers, self.blows, self.audit, grants, self.lineage)
        return Evidence(RUN, *parts)
