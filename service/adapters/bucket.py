"""The arithmetic of a rate budget in one process: a bucket that fills at a rate and may be owed to.

The scripts in `budget_scripts` do the same in Redis. Reads no clock.
"""

from __future__ import annotations

import math


class Bucket:
    """Calls that lie ready, `capacity` at most, growing by `rate_s` a second; negative when reserved."""

    def __init__(self, rate_s: float, capacity: float) -> None:
        self._rate_s = rate_s
        self._capacity = capacity
        # What the callers keep; where only one call fits, work ahead of time may have it.
        self._share = min(capacity / 2, capacity - 1)
        self._ready = capacity
        self._at = 0.0
        self._paused_until = 0.0

    @property
    def ready(self) -> float:
        """How many calls lay ready when it was last looked at."""
        return self._ready

    def take(self, now: float, longest_s: float, *, waited: bool = False) -> float | None:
        """Reserve a call and return in how many seconds it may be made; None when over `longest_s`.

        Who `waited` for a reserved call asks again with it in hand, in case of a pause meanwhile.
        """
        paused_s = self._fill(now)
        if waited:
            if paused_s <= 0:
                return 0.0
            self._ready += 1
        wait_s = paused_s + max(0.0, (1 - self._ready) / self._rate_s)
        if wait_s > longest_s:
            return None
        self._ready -= 1
        return wait_s

    def take_ahead(self, now: float, most: int) -> int:
        """Take up to `most` calls of those that lie ready beyond the callers' share."""
        if self._fill(now) > 0:
            return 0
        taken = max(0, min(most, math.floor(self._ready - self._share)))
        self._ready -= taken
        return taken

    def give_back(self, now: float, count: int) -> None:
        """Return calls."""
        self._fill(now)
        self._ready = min(self._capacity, self._ready + count)

    def pause(self, now: float, seconds: float) -> None:
        """Let nobody call for so long."""
        self._fill(now)
        self._paused_until = max(self._paused_until, now + seconds)

    def _fill(self, now: float) -> float:
        """Add what has come in; returns how many seconds of a pause are left.

        Up to the end of a pause it fills only once: those who reserve during it must not all be let go
        together.
        """
        then = max(now, self._paused_until)
        self._ready = min(self._capacity, self._ready + max(0.0, then - self._at) * self._rate_s)
        self._at = then
        return then - now
