"""What one schedule is like: how long tokens live, who asks, how much goes wrong; drawn from its seed.

Durations are seconds. The broker's own durations are its defaults, so the short lifetimes are hit hard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

UPSTREAM_TIMEOUT_S = 10.0
DATABASE_TIMEOUT_S = 3.0
CLAIM_DEADLINE_S = 20.0
DISTRUST_WINDOW_S = 60.0
LEASE_S = 20.0


@dataclass(frozen=True)
class Upstream:
    """How likely a call upstream comes to grief, by the way it does; the rest goes well."""

    lost: float = 0.0
    """Carried out, and the answer is lost."""
    late: float = 0.0
    """Given up by the caller and carried out later, at most `zombie_s` after that."""
    vanished: float = 0.0
    """Never carried out, and the caller cannot know."""
    not_sent: float = 0.0
    throttled: float = 0.0
    doubled: float = 0.0
    """Carried out twice by something in between; either answer arrives."""
    slow: float = 0.0
    """Takes up to the caller's whole patience."""
    recover_late: float = 0.0
    """As `late`, for force-refreshes alone."""


@dataclass(frozen=True)
class Profile:
    """One schedule."""

    lifetime_s: float = 300.0
    lifetimes: float = 2.5
    users: int = 2
    tabs: int = 2
    tick_s: float = 10.0
    blows: float = 0.0
    """How many blows (a kill, a stop, a store gone) to expect for each hundred calls of a port."""
    upstream: Upstream = Upstream()
    zombie_s: float = DISTRUST_WINDOW_S
    storage_fails: float = 0.0
    redis_fails: float = 0.0
    lag: float = 0.0
    """How long a replica upstream knows nothing of a new pair, as a share of the wait the broker allows."""
    clock_error_s: float = 0.2
    delivered_twice: float = 0.0
    """How likely a request comes to a second replica too, or the worker's tick twice."""
    orders: float = 0.0
    """How many orders (revoke, force, rotate) to expect a user and lifetime."""
    creates: bool = False
    leaves: str | None = None
    """What becomes of the last user: deleted by the app, or gone upstream without a word."""
    states_end: bool = True
    """Whether upstream says when a token ends."""
    ahead_all: bool = False
    rate_per_min: float = 450.0
    user_rotations_per_s: float = 0.0
    stops: bool = False
    """Every blow is a stop beyond the claim's deadline."""
    window_s: float = DISTRUST_WINDOW_S
    claims_ignored: bool = False
    recovers: bool = True


STOPPED = Profile(lifetime_s=90.0, tick_s=5.0, blows=4.0, stops=True, upstream=Upstream(slow=0.3))
"""Two who want to rotate, one of them stopped beyond the claim's deadline."""

FORGOTTEN = Profile(lifetime_s=90.0, tick_s=5.0, upstream=Upstream(lost=0.3))
"""Refresh tokens are spent and the pairs they bought are lost."""

HAUNTED = Profile(lifetime_s=90.0, tick_s=5.0, blows=1.0, upstream=Upstream(lost=0.3, recover_late=0.6))
"""The same, and force-refreshes land when others have long gone on."""


def draw_profile(seed):
    """Return the profile of a seed: one in five is one of those above, with the rest drawn."""
    random = Random(f"profile {seed}")
    drawn = _draw_any(random)
    hard = random.choice((*(None,) * 12, STOPPED, FORGOTTEN, HAUNTED))
    if hard is None:
        return drawn
    return replace(
        drawn,
        lifetime_s=hard.lifetime_s,
        tick_s=hard.tick_s,
        blows=hard.blows,
        stops=hard.stops,
        upstream=hard.upstream,
        storage_fails=drawn.storage_fails / 4,
    )


def _draw_any(random):
    """Draw everything; one in ten sees no fault at all."""
    trouble = random.choice((0.0, 0.3, 0.6, 1.0, 1.0, 1.0, 1.5, 1.5, 2.0, 3.0))
    lifetime_s = random.choice((90.0, 90.0, 300.0, 3600.0))
    return Profile(
        lifetime_s=lifetime_s,
        lifetimes=random.uniform(1.2, 3.0),
        users=random.choice((1, 1, 2, 3)),
        tabs=random.choice((1, 2)),
        tick_s=lifetime_s / random.choice((6, 12, 18)),
        blows=trouble * random.choice((0.0, 0.5, 1.0, 2.0)),
        upstream=_draw_upstream(random, trouble),
        storage_fails=trouble * random.choice((0.0, 0.005, 0.02)),
        redis_fails=trouble * random.choice((0.0, 0.01, 0.05)),
        lag=min(1.0, trouble) * random.choice((0.0, 0.0, 0.9)),
        clock_error_s=random.choice((0.0, 0.05, 0.5)),
        delivered_twice=min(1.0, trouble) * random.choice((0.0, 0.0, 0.05, 0.3)),
        orders=random.choice((0.0, 0.3, 1.0)),
        creates=random.random() < 0.25,
        leaves=random.choice((None,) * 10 + ("deleted", "gone")),
        states_end=random.random() < 0.8,
        ahead_all=random.random() < 0.15,
        rate_per_min=random.choice((450.0, 450.0, 450.0, 60.0)),
        user_rotations_per_s=random.choice((0.0, 0.1)),
    )


def _draw_upstream(random, trouble):
    worst = trouble * random.choice((0.02, 0.08, 0.2))
    kinds = ("lost", "late", "vanished", "not_sent", "throttled", "doubled", "slow")
    shares = {kind: random.random() ** 2 for kind in kinds}
    whole = sum(shares.values())
    return Upstream(**{kind: worst * share / whole for kind, share in shares.items()})
