"""How long to go on asking, and how long to wait in between: exponential, with jitter, all in a given time.

Decides only; never sleeps. What the broker says of when to come back is obeyed, and never cut short.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_S = 0.1
LONGEST_S = 5.0
SPREAD = 0.25
"""How much later than `Retry-After` says one may come, as a part of it: else all come at once."""


@dataclass(slots=True)
class Patience:
    """One call's time, from `began_at` on the clock."""

    clock: Callable[[], float]
    total_s: float
    began_at: float
    roll: Callable[[], float] = random.random
    tries: int = 0

    def left_s(self) -> float:
        """Return what is left of it."""
        return self.total_s - (self.clock() - self.began_at)

    def pause_s(self, retry_after_s: float | None) -> float | None:
        """Return how long to wait before the next try; None when it would come too late."""
        self.tries += 1
        roll = self.roll()
        back_off_s = min(FIRST_S * 2.0 ** (self.tries - 1), LONGEST_S) * (0.5 + roll / 2)
        pause_s = max(back_off_s, (retry_after_s or 0.0) * (1 + SPREAD * roll))
        return pause_s if pause_s < self.left_s() else None
