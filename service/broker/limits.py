"""Limits on what costs something, in this process and therefore also without Redis.

Token buckets over a bounded number of keys; takes the instant, reads no clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime

_MOST_KEYS = 50_000


class Limits:
    """One token bucket a key: `per_s` refills, at most `burst` (default: a minute's worth); 0 is no limit."""

    def __init__(self, per_s: float, *, burst: float | None = None, most_keys: int = _MOST_KEYS) -> None:
        self._per_s = per_s
        self._capacity = max(1.0, per_s * 60 if burst is None else burst)
        self._most_keys = most_keys
        self._buckets: OrderedDict[Hashable, tuple[float, datetime]] = OrderedDict()

    def take(self, key: Hashable, now: datetime) -> float:
        """Take one; returns 0.0 when there was one, else the seconds until there is."""
        if self._per_s <= 0:
            return 0.0
        left, since = self._buckets.pop(key, (self._capacity, now))
        left = min(self._capacity, left + max(0.0, (now - since).total_seconds()) * self._per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._per_s
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > self._most_keys:
            self._buckets.popitem(last=False)
        return wait_s
