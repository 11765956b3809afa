"""Builders for what goes into a cache, and a clock and an observer that tests can hold still and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from service.broker.model import Binding, CurrentToken, Fingerprint, LineageEntry, UserKey

ANNA = UserKey("first-client", "anna")
BERT = UserKey("first-client", "bert")


class StoppedClock:
    """The database's clock, and the monotonic one, at an instant that only moves when told to."""

    def __init__(self):
        self.now = datetime.now(UTC)
        self.seconds = 1000.0

    def __call__(self):
        return self.now

    def monotonic(self):
        return self.seconds

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Notes:
    """An observer that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def note(self, event, key=None, **facts):
        self.heard.append((event, key, facts))

    def events(self):
        return [event for event, _, _ in self.heard]


def a_token(clock, key=ANNA, generation=1, life_s=3600.0):
    """A current token that expires `life_s` seconds from now."""
    now = clock()
    return CurrentToken(
        key=key,
        upstream_id="4711",
        generation=generation,
        access_token=f"token-{key.user_id}-{generation}",
        issued_at=now,
        expires_at=now + timedelta(seconds=life_s),
        refresh_at=now + timedelta(seconds=life_s / 2),
        binding=Binding(vouched_at=now, refreshed_at=now),
    )


def a_fingerprint(name, key_id="f1"):
    """The fingerprint of a token, by any name."""
    return Fingerprint(key_id, sha256(name.encode()).digest())


def presented(clock, key=ANNA, generation=1, counts_s=86400.0):
    """A token's fingerprint and its entry in the lineage."""
    entry = LineageEntry(key, generation, clock() + timedelta(seconds=counts_s))
    return a_fingerprint(f"{key}-{generation}"), entry
