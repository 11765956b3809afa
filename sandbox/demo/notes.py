"""The lines of the page's timeline, and the figures beside it: what upstream saw, what the broker did.

Values only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["upstream", "service", "worker", "demo"]
Tone = Literal["plain", "good", "warn", "bad"]


@dataclass(slots=True)
class Note:
    """One line; the same thing again within a moment only raises `times`."""

    source: Source
    event: str
    text: str
    tone: Tone = "plain"
    id: int = 0
    times: int = 1
    at_ms: float = field(default_factory=lambda: time.time() * 1000)

    def repeats(self, other: Note, within_ms: float) -> bool:
        """Whether this is the other's line once more."""
        same = (self.source, self.event, self.text) == (other.source, other.event, other.text)
        return same and self.at_ms - other.at_ms < within_ms


@dataclass(slots=True)
class Tally:
    """What was counted since the run began: calls from the sandbox's journal, the rest from the logs."""

    creates: int = 0
    refreshes: int = 0
    forced: int = 0
    checks: int = 0
    purged: int = 0
    replaced: int = 0
    served_calls: int = 0
    refused_calls: int = 0
    ahead: int = 0
    on_request: int = 0
    joined: int = 0
