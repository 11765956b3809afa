"""One process's leases, wake-ups, budget and observer over the shared simulated Redis."""

from __future__ import annotations

from contextlib import asynccontextmanager

from service.broker.model import Fingerprint
from service.broker.ports import LeaseState
from tests.simulation.cache import Unreachable
from tests.simulation.profile import LEASE_S
from tests.support.memory import MemoryBudget


class Leases:
    """The port Leases of one process; a lease ends by itself when its holder is not heard of."""

    def __init__(self, line):
        self._line = line
        self._world = line.world
        self._held = line.world.redis.leases

    @asynccontextmanager
    async def hold(self, key):
        mine = object()
        try:
            held = await self._line.ask(self._take, key, mine)
        except Unreachable:
            yield LeaseState(held=False, busy=False)
            return
        renewal = []
        if held:
            self._renew_later(key, mine, renewal)
        try:
            yield LeaseState(held=held, busy=not held)
        finally:
            for timer in renewal:
                timer.cancel()
            if held and not self._world.loop.over:
                await self._release(key, mine)

    def _take(self, key, mine):
        owner, until = self._held.get(key, (None, 0.0))
        if owner is not None and owner is not mine and self._world.loop.now < until:
            return False
        self._held[key] = (mine, self._world.loop.now + LEASE_S)
        return True

    def _renew_later(self, key, mine, renewal):
        renewal[:] = [self._world.loop.call_later(LEASE_S / 3, self._renew, key, mine, renewal)]

    def _renew(self, key, mine, renewal):
        if not self._world.redis.down:
            if self._held.get(key, (None,))[0] is not mine:
                return
            self._take(key, mine)
        self._renew_later(key, mine, renewal)

    async def _release(self, key, mine):
        def release():
            if self._held.get(key, (None,))[0] is mine:
                del self._held[key]

        try:
            await self._line.ask(release)
        except Unreachable:
            return


class Wakeups:
    """The port Wakeups of one process; what is said to others may be lost.

    Who waits stands in a list, not in a set as with the adapter: every run wakes them in the same order.
    """

    def __init__(self, line):
        self._line = line
        self._recent = {}
        self._waiting = []
        line.world.redis.subscribers.append(self)

    def announce(self, key, generation):
        self._recent[key] = max(generation, self._recent.get(key, -1))
        for waits_for, seen, woken in self._waiting:
            if waits_for == key and generation > seen and not woken.done():
                woken.set_result(True)

    async def notify(self, key, generation):
        self.announce(key, generation)
        try:
            await self._line.ask(self._publish, key, generation)
        except Unreachable:
            return

    async def wait(self, key, seen, timeout_s):
        if self._recent.get(key, seen) > seen:
            return True
        loop = self._line.world.loop
        woken = loop.create_future()
        waiter = (key, seen, woken)
        self._waiting.append(waiter)
        timer = loop.call_later(timeout_s, _give_up, woken)
        try:
            return await woken
        finally:
            timer.cancel()
            self._waiting.remove(waiter)

    def _publish(self, key, generation):
        for process in self._line.world.redis.subscribers:
            process.announce(key, generation)


class Budget(MemoryBudget):
    """The port Budget of one process, at a process's distance from Redis."""

    def __init__(self, line, observer, rates):
        super().__init__(line.world.redis, observer, rates)
        self._line = line

    async def take(self, client, timeout_s):
        await self._reach()
        return await super().take(client, timeout_s)

    async def take_ahead(self, client, most):
        await self._reach()
        return await super().take_ahead(client, most)

    async def _reach(self):
        try:
            await self._line.ask(_nothing)
        except Unreachable:
            return


def _nothing():
    return None


def _give_up(woken):
    if not woken.done():
        woken.set_result(False)


class Fingerprints:
    """The port Fingerprints without its key: what counts is that tokens are told apart."""

    def of(self, access_token):
        return (Fingerprint("f1", access_token.encode()),)


class Observer:
    """The port Observer: counts, and knows when an answer was decided on."""

    def __init__(self, world, counts, decided):
        self._world = world
        self._counts = counts
        self._decided = decided

    def note(self, event, key=None, **facts):
        self._counts[event] += 1
        if event == "answer":
            self._decided()
        if self._world.trace is not None:
            self._world.say("notes {} {}", event, facts)
