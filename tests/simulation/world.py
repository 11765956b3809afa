"""What all processes of a schedule share: the loop, the chance that drives it, the stores, and the blows.

A blow falls when the fuse has burned down; the ports burn it as they are called, so blows fall where
something is under way. After `calm` nothing goes wrong any more.
"""

from __future__ import annotations

from collections import Counter
from math import log
from random import Random
from types import coroutine

from tests.simulation.loop import Loop
from tests.simulation.processes import PROCESS
from tests.support.memory import MemoryStore


@coroutine
def turn():
    """Let go once; a process that was stopped or killed goes no further."""
    yield


class World:
    """One schedule's world; everything random in it comes from its one seed."""

    def __init__(self, seed, profile, trace=None):
        self.profile = profile
        self.random = Random(f"schedule {seed}").random
        self.loop = Loop(self.random)
        self.spend = self.loop.after
        self.redis = MemoryStore()
        self.storage_down = False
        self.upstream_down = False
        self.client_refused = False
        self.calm = False
        self.replicas = []
        self.trace = trace
        self.troubles = Counter()
        self._blows = None
        self._fuse = self._new_fuse()

    def say(self, text, *facts):
        """Tell whoever reads the trace; nobody does in a campaign."""
        if self.trace is not None:
            process = PROCESS.get(self.loop.outside)
            self.trace(f"{self.loop.now:10.3f} {process.name:<12} {text.format(*facts)}")

    def expect_blows(self, blows):
        """Name who deals the blows."""
        self._blows = blows

    def strike(self, weight):
        """Burn the fuse; a blow may fall on the process that runs, or on what it depends on.

        Returns whether one has fallen: then the process may not be `alive` to go on.
        """
        self._fuse -= weight
        if self._fuse >= 0 or self.calm or self._blows is None:
            return False
        self._fuse = self._new_fuse()
        self._blows.fall(PROCESS.get(self.loop.outside))
        return True

    def between(self, low, high):
        return low + (high - low) * self.random()

    def likely(self, share):
        return share > 0 and not self.calm and self.random() < share

    def way_s(self):
        """Return what a message takes to a store or back; often nothing, so that nothing else happens."""
        chance = self.random()
        if chance < 0.5:
            return 0.0
        return 0.02 * chance if chance < 0.97 or self.calm else 2.0 * self.random()

    def later(self, seconds, call, *args):
        """Have something done by the outside, whatever becomes of the process that runs."""
        self.loop.call_later(seconds, call, *args, context=self.loop.outside.context)

    async def alive(self):
        """Go on, unless a blow has stopped or killed the process that runs."""
        process = PROCESS.get(self.loop.outside)
        if process.stopped or not process.alive:
            await turn()

    def _new_fuse(self):
        blows = self.profile.blows
        if not blows:
            return float("inf")
        return -100.0 / blows * log(1.0 - self.random())


def _wake(future):
    if not future.done():
        future.set_result(None)
