"""Builds journals and clients' logs as a run would leave them, for the count to be tried on."""

from dataclasses import asdict

from sandbox.calcom import Entry
from sandbox.smoke.answers import Asked

LIFETIME_MS, MARGIN_MS = 18_000.0, 3_000.0


class Story:
    """One user's pairs, one after the other; pair n is issued by `create` or `rotate`, at a given ms."""

    def __init__(self, user_id=1001):
        self.user_id = user_id
        self.lines = []
        self.asked = []
        self.expires_ms = 0.0
        self._pairs = 0
        self._line("create", 0.0, issued=True, status=201)

    @property
    def held(self):
        """The current access token."""
        return f"access-{self.user_id}-{self._pairs}"

    def rotate(self, at_ms, **fields):
        """Have the current pair replaced."""
        presented = f"refresh-{self.user_id}-{self._pairs}"
        self._line("refresh", at_ms, issued=True, presented=presented, consumed=presented, **fields)
        return self

    def rotate_in_time(self):
        """Have the current pair replaced inside its margin."""
        return self.rotate(self.expires_ms - MARGIN_MS)

    def present_again(self, at_ms):
        """Have the refresh token of the pair before presented once more, in vain."""
        spent = f"refresh-{self.user_id}-{self._pairs - 1}"
        self._line("refresh", at_ms, presented=spent, status=400)
        return self

    def ask(self, presented, answered, at_ms, took_ms=20.0, occasion=None, **wrong):
        """Have a client present a token and be answered with another."""
        question = Asked(
            self.user_id, presented, occasion, at_ms, at_ms + took_ms, 200, answered, usable=True
        )
        for name, value in wrong.items():
            setattr(question, name, value)
        self.asked.append(question)
        return self

    @property
    def generations(self):
        return {self.user_id: self._pairs}

    def _line(self, route, at_ms, *, issued=False, status=200, **fields):
        entry = Entry(len(self.lines) + 1, route, "POST", "/", at_ms, user_id=self.user_id, status=status)
        entry.ended_ms = at_ms + 10
        for name, value in fields.items():
            setattr(entry, name, value)
        if issued:
            self._pairs += 1
            self.expires_ms = at_ms + LIFETIME_MS
            entry.issued_access, entry.issued_refresh = self.held, f"refresh-{self.user_id}-{self._pairs}"
            entry.expires_ms, entry.committed, entry.committed_ms = self.expires_ms, True, at_ms + 5
        self.lines.append(asdict(entry))
