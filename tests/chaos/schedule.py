"""Draws what is done to the processes and stores of a campaign, and when; decides nothing else.

Whom a blow meets depends on who is up then: a roll is drawn here and used there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PER_MINUTE = {
    "kill": 17.0,
    "stop": 5.0,
    "terminate": 3.0,
    "roll": 0.5,
    "kill_services": 0.4,
    "redis_kill": 1.5,
    "redis_pause": 3.0,
    "redis_flush": 3.0,
    "postgres_restart": 0.4,
    "postgres_kill": 0.2,
    "postgres_massacre": 2.6,
}


@dataclass(order=True, frozen=True)
class Blow:
    """What is done so many seconds after the start; `roll` and `other` lie in [0, 1)."""

    at_s: float
    what: str = field(compare=False)
    roll: float = field(compare=False)
    other: float = field(compare=False)


def drawn(random, duration_s):
    """Return the blows of a campaign in their order: each kind at least once, spread over the time."""
    blows = []
    for what, per_minute in PER_MINUTE.items():
        many = max(1, round(per_minute * duration_s / 60))
        for number in range(many):
            at_s = (number + random.random()) / many * duration_s
            blows.append(Blow(at_s, what, random.random(), random.random()))
    return sorted(blows)
