"""The cache, lease, wake-up and budget ports without Redis, for the simulation.

They keep the same contract as the adapters (tests/contract runs one suite over both). A `MemoryStore` is
what several processes share; each port object is one process's. `store.down` takes Redis away.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from service.adapters.bucket import Bucket
from service.adapters.budget import capacity_of
from service.adapters.near import NearCache, Refusals
from service.adapters.wakeups import Waiters
from service.broker.model import LineageEntry
from service.broker.ports import CacheHit, LeaseState


@dataclass
class MemoryStore:
    """What every process sees, and whether it sees it at all."""

    down: bool = False
    users: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    blocks: dict = field(default_factory=dict)
    confirmed: dict = field(default_factory=dict)
    leases: dict = field(default_factory=dict)
    subscribers: list = field(default_factory=list)
    buckets: dict = field(default_factory=dict)


class MemoryCache:
    """One process's cache."""

    def __init__(self, store, clock, *, near_life_s=1.0):
        self.near_life_s = near_life_s
        self._store = store
        self._clock = clock
        self._near = NearCache()
        self._refusals = Refusals()
        self._confirmed = {}

    async def find(self, fingerprints):
        now = self._now()
        for fingerprint in fingerprints:
            hit = self._near.find(fingerprint, now) or self._find(fingerprint, now)
            if hit is not None:
                return hit
        return None

    async def current(self, key):
        now = self._now()
        near = self._near.current(key, now)
        if near is not None:
            return near
        current, _ = self._held(key)
        if current is None or not self._refusals.admits(key, current.generation, now):
            return None
        self._keep(current, (), now + self.near_life_s)
        return CacheHit(_itself(current), current)

    async def put(self, current, presented=(), *, reopen=False):
        key, generation, now = current.key, current.generation, self._now()
        if reopen:
            self._refusals.lift(key, generation)
        self._near.drop(key, below=generation)
        if current.expires_at <= self._clock() or not self._refusals.admits(key, generation, now):
            return
        if self._store.down:
            self._keep(current, presented, now + self.near_life_s / 2)
        elif self._put(current, presented, reopen=reopen):
            self._keep(current, presented, now + self.near_life_s)

    async def block(self, key, generation):
        newest = self._refusals.refuse(key, generation)
        self._near.drop(key)
        self._confirmed.pop(key, None)
        if self._store.down:
            self._refusals.owed[key] = newest
            return False
        self._block(key, newest)
        return True

    async def forget(self, key):
        return await self.block(key, int(self._clock().timestamp() * 1000))

    async def note_confirmed(self, key, generation, seconds):
        noted = (generation, self._clock() + timedelta(seconds=seconds))
        self._confirmed[key] = noted
        if not self._store.down:
            self._store.confirmed[key] = noted

    async def recently_confirmed(self, key, generation):
        if not self._refusals.admits(key, generation, self._now()):
            return False
        noted = self._confirmed if self._store.down else self._store.confirmed
        known, until = noted.get(key, (None, None))
        return known == generation and self._clock() < until

    def pay_owed(self):
        """Carry out the blocks that were owed; the adapter does so by itself when Redis is back."""
        for key, generation in list(self._refusals.owed.items()):
            self._block(key, generation)

    def _now(self):
        return self._clock().timestamp()

    def _find(self, fingerprint, now):
        entry, life = self._store.tokens.get(fingerprint, (None, None))
        if self._store.down or entry is None or entry.counts_until <= self._clock():
            return None
        current, lives = self._held(entry.key)
        if (
            current is None
            or lives is not life
            or not self._refusals.admits(entry.key, current.generation, now)
        ):
            return None
        self._keep(current, [(fingerprint, entry)], now + self.near_life_s)
        return CacheHit(entry, current)

    def _held(self, key):
        current, life = self._store.users.get(key, (None, None))
        if self._store.down or current is None or current.expires_at <= self._clock():
            return None, None
        return current, life

    def _put(self, current, presented, *, reopen):
        key, generation = current.key, current.generation
        blocked = self._store.blocks.get(key, -1)
        if generation < blocked or (generation == blocked and not reopen):
            return False
        held, life = self._held(key)
        if held is not None and held.generation > generation:
            return False
        if generation == blocked:
            self._store.blocks[key] = generation - 1
        life = life or object()
        self._store.users[key] = (current, life)
        for fingerprint, entry in presented:
            self._store.tokens[fingerprint] = (entry, life)
        return True

    def _block(self, key, generation):
        self._store.users.pop(key, None)
        self._store.confirmed.pop(key, None)
        self._store.blocks[key] = max(generation, self._store.blocks.get(key, -1))
        self._refusals.done(key, generation, self._now())

    def _keep(self, current, presented, until):
        self._near.keep(current, min(until, current.expires_at.timestamp()), self._now())
        for fingerprint, entry in presented:
            self._near.keep_token(fingerprint, entry, min(until, entry.counts_until.timestamp()))


def _itself(current):
    return LineageEntry(current.key, current.generation, current.expires_at)


class MemoryLeases:
    """One process's leases; a lease ends `ttl_s` after its holder was last heard of."""

    def __init__(self, store, clock, *, ttl_s=20.0):
        self._store = store
        self._clock = clock
        self._ttl_s = ttl_s

    @asynccontextmanager
    async def hold(self, key):
        if self._store.down:
            yield LeaseState(held=False, busy=False)
            return
        owner, until = self._store.leases.get(key, (None, None))
        if owner is not None and self._clock() < until:
            yield LeaseState(held=False, busy=True)
            return
        mine = object()
        self._renew(key, mine)
        renewal = asyncio.create_task(self._renewing(key, mine))
        try:
            yield LeaseState(held=True, busy=False)
        finally:
            renewal.cancel()
            if self._owns(key, mine):
                del self._store.leases[key]

    async def _renewing(self, key, mine):
        while True:
            await asyncio.sleep(self._ttl_s / 3)
            if not self._owns(key, mine):
                return
            self._renew(key, mine)

    def _owns(self, key, mine):
        owner, until = self._store.leases.get(key, (None, None))
        return not self._store.down and owner is mine and self._clock() < until

    def _renew(self, key, mine):
        self._store.leases[key] = (mine, self._clock() + timedelta(seconds=self._ttl_s))


class MemoryWakeups:
    """One process's wake-ups."""

    def __init__(self, store):
        self._store = store
        self._waiters = Waiters()
        store.subscribers.append(self._waiters)

    async def notify(self, key, generation):
        self._waiters.announce(key, generation)
        for subscriber in [] if self._store.down else self._store.subscribers:
            subscriber.announce(key, generation)

    async def wait(self, key, seen, timeout_s):
        return await self._waiters.wait(key, seen, timeout_s)


class MemoryBudget:
    """One process's budget; time is the event loop's."""

    def __init__(self, store, observer, rates):
        self._store = store
        self._observer = observer
        self._shared = {client: Bucket(rate, capacity_of(rate)) for client, rate in rates.items()}
        self._alone = {
            client: Bucket(rate / 4, max(1, capacity_of(rate) / 4)) for client, rate in rates.items()
        }

    async def take(self, client, timeout_s):
        ends_at, waited = _loop_time() + timeout_s, False
        while True:
            left_s = max(0.0, ends_at - _loop_time())
            wait_s = self._bucket(client).take(_loop_time(), left_s, waited=waited)
            self._tell(client)
            if not wait_s:
                return wait_s is not None
            try:
                await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                await self.give_back(client, 1)
                raise
            waited = True

    async def take_ahead(self, client, most):
        taken = self._bucket(client).take_ahead(_loop_time(), most)
        self._tell(client)
        return taken

    async def give_back(self, client, count):
        self._bucket(client).give_back(_loop_time(), count)

    async def pause(self, client, seconds):
        self._alone[client].pause(_loop_time(), seconds)
        self._bucket(client).pause(_loop_time(), seconds)

    def _bucket(self, client):
        if self._store.down:
            return self._alone[client]
        return self._store.buckets.setdefault(client, self._shared[client])

    def _tell(self, client):
        ready = self._bucket(client).ready
        self._observer.note("budget.remaining", client=client, value=max(0, math.floor(ready)))


def _loop_time():
    return asyncio.get_running_loop().time()
