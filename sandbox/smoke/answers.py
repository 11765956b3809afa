"""The clients' own log: what each asked, when, and what it was answered, with tokens named by identifier.

Values only; written by the clients, read by the count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


def wall_ms() -> float:
    """Return the wall clock in epoch milliseconds, the sandbox's own clock."""
    return time.time() * 1000


@dataclass(slots=True)
class Asked:
    """One question for a token and its answer; `status` 0 when none came.

    `presented` and `answered` are identifiers. `usable`: upstream accepted the answered token at once.
    Questions with the same `occasion` were asked at the same time by several tabs of one user.
    """

    cal_user_id: int
    presented: str | None = None
    occasion: str | None = None
    sent_ms: float = field(default_factory=wall_ms)
    done_ms: float = 0.0
    status: int = 0
    answered: str | None = None
    usable: bool = False
    wrong: str | None = None

    @property
    def good(self) -> bool:
        """Whether a token came that works."""
        return self.status == 200 and self.answered is not None and self.usable and self.wrong is None  # noqa: PLR2004 - OK
