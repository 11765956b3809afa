"""What one run is like: its durations, how many processes and users, what is taken away or put off.

Values only. Tokens live for seconds, and every duration that must end before another is scaled with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CLIENT_ID = "chaos-client"
UPSTREAM_TIMEOUT_S = 1.0
DATABASE_TIMEOUT_S = 2.0
CLAIM_DEADLINE_S = 3.5
DISTRUST_WINDOW_S = 6.0
PATIENCE_S = 12.0
"""How long a client waits for an answer; a browser would wait for ever."""

SERVED_WITHIN_S = CLAIM_DEADLINE_S + UPSTREAM_TIMEOUT_S + 2.0
"""I1: how long after the last fault every user has a token that works."""

TIMEOUTS = {
    "UPSTREAM_TIMEOUT": f"{UPSTREAM_TIMEOUT_S}s",
    "DATABASE_TIMEOUT": f"{DATABASE_TIMEOUT_S}s",
    "LEASE_TTL": f"{CLAIM_DEADLINE_S}s",
    "CLAIM_DEADLINE": f"{CLAIM_DEADLINE_S}s",
    "ANSWER_TIMEOUT": "8s",
    "PUBLIC_ANSWER_TIMEOUT": "8s",
    "DISTRUST_WINDOW": f"{DISTRUST_WINDOW_S}s",
    "DRAIN": "9s",
    "GRACE": "11s",
}


@dataclass(frozen=True)
class Plan:
    """One run. `chaos` is what the process of a name is told beyond being the product."""

    seed: int
    users: int = 240
    lifetime_s: float = 10.0
    services: int = 3
    workers: int = 2
    chaos: Mapping[str, Mapping] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
