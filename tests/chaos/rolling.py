"""A rolling restart under load: `python -m tests.chaos.rolling`, a service and a worker every five seconds.

Nothing else goes wrong, so nobody may notice: no answer fails, and nothing is forced.
"""

from __future__ import annotations

import argparse
import sys
import time

from sandbox.dev.signals import interrupt_on_all
from sandbox.embedded import folder
from tests.chaos.__main__ import check
from tests.chaos.fleet import State
from tests.chaos.plan import Plan
from tests.chaos.world import world

EVERY_S = 5.0
_UP_AGAIN_S = 30.0
_PLAN = Plan(seed=5, duration_s=0.0, users=100, services=2, workers=2)


def main(argv=None):
    """Roll so many times, and have it checked; returns the checker's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.rolling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how many restarts of each (%(default)s)")
    rounds = parser.parse_args(argv).rounds
    interrupt_on_all()
    with folder() as place:
        with world(_PLAN, place) as it:
            it.wait(EVERY_S)
            it.note("faults_begin")
            for number in range(rounds):
                roll(it, number)
            it.note("faults_end")
            it.calm()
            it.finish()
        return check(place)


def roll(it, number):
    """Restart the next service and the next worker, one after the other as a platform does."""
    next_at = time.monotonic() + EVERY_S
    for kind in ("service", "worker"):
        victim = it.replicas[f"{kind}-{number % 2}"]
        it.note("restart", who=victim.name)
        it.end_gently(victim)
        it.wait(_UP_AGAIN_S, lambda victim=victim: victim.state is State.UP)
    it.wait(next_at - time.monotonic())


if __name__ == "__main__":
    sys.exit(main())
