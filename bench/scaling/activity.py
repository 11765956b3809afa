"""Who comes when on the busiest weekday: the assumptions of the simulated day, all in one place.

None of them was measured on a product. The shape is that of office work as telephone exchanges and web
servers have long seen it: up from nine, a dip at noon, a second rise, then a tail; the sum over the time
zones of a product that is used more in America and Europe than elsewhere. How many of all users come in a day
matters most: published averages of business software have 13 to 15 % of a month's users in a day.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

HOUR_S, DAY_S = 3600.0, 86_400.0

HOURS = (1, 1, 0.5, 0.5, 0.5, 1, 3, 9, 22, 33, 36, 32, 22, 27, 34, 33, 28, 20, 12, 8, 6, 5, 3, 2)
"""How many sessions begin in each hour of the user's own day, in proportion."""
PLACES = ((-8, 12), (-6, 8), (-5, 22), (-3, 6), (0, 12), (1, 22), (2, 5), (5.5, 6), (8, 4), (10, 3))
"""Hours ahead of UTC, and how many of a hundred users live there."""

_SESSIONS = 2.2
"""Sessions of somebody who comes at all, on average over the day; at least one."""
_USUAL_S, _SPREAD = 10 * 60.0, 1.0
"""A session's median length, and the spread of its logarithm: most are short, a few last for hours."""
_LEFT_OPEN, _OPEN_S = 0.15, 4 * HOUR_S
"""So many sessions are a tab that stays open, on average so long."""
_ASKED_FOR = 0.03
"""So many users a day are asked for by a service of the app's once, whether they are there or not."""


@dataclass(slots=True)
class Visit:
    """Somebody's session, from its first request until the page is closed; a service's call ends at once."""

    user: int
    begins_s: float
    ends_s: float


def visits(users: int, seen: float, begins_s: float, roll: random.Random) -> Iterator[Visit]:
    """Draw the visits of the day that begins then, of so large a share of all users, in no order."""
    offsets, people = zip(*PLACES, strict=True)
    for user in roll.sample(range(users), round(users * seen)):
        (offset,) = roll.choices(offsets, people)
        for _ in range(_sessions(roll)):
            yield _visit(user, begins_s, offset, _length_s(roll), roll)
    for user in roll.sample(range(users), round(users * _ASKED_FOR)):
        (offset,) = roll.choices(offsets, people)
        yield _visit(user, begins_s, offset, 0.0, roll)


def _visit(user: int, begins_s: float, offset: float, length_s: float, roll: random.Random) -> Visit:
    (hour,) = roll.choices(range(24), HOURS)
    # In UTC, on the same day of it: yesterday evening in California is like this evening.
    local_s = (hour + roll.random() - offset) * HOUR_S
    at_s = begins_s + local_s % DAY_S
    return Visit(user, at_s, at_s + length_s)


def _sessions(roll: random.Random) -> int:
    """At least one, and one more with the same chance each time."""
    count = 1
    while roll.random() < 1 - 1 / _SESSIONS:
        count += 1
    return count


def _length_s(roll: random.Random) -> float:
    if roll.random() < _LEFT_OPEN:
        return roll.expovariate(1 / _OPEN_S)
    return _USUAL_S * roll.lognormvariate(0.0, _SPREAD)
