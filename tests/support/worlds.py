"""Two worlds in which the same promises hold: real Valkey, and memory. Each makes ports of new processes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from service.adapters.budget import RedisBudget
from service.adapters.cache import RedisCache
from service.adapters.lease import RedisLeases
from service.adapters.redis_link import RedisLink
from service.adapters.vault import Vault
from service.adapters.wakeups import RedisWakeups
from tests.support.cached import Notes, StoppedClock
from tests.support.memory import MemoryBudget, MemoryCache, MemoryLeases, MemoryStore, MemoryWakeups

VAULT = Vault([("k1", b"k" * 32)])


def real_clock():
    return datetime.now(UTC)


class RedisWorld:
    """Processes that share one Valkey; each port gets a link of its own."""

    def __init__(self, url, **link_options):
        self.url = url
        self._link_options = link_options
        self.clock = StoppedClock()
        self.notes = Notes()
        self._open = []

    def link(self, **options):
        link = RedisLink(self.url, self.notes, **self._link_options | options)
        self._open.append(link)
        return link

    def cache(self, link=None, vault=None, **options):
        link = link or self.link()
        vault = vault or VAULT
        cache = RedisCache(link, vault, self.notes, self.clock, monotonic=self.clock.monotonic, **options)
        self._open.insert(0, cache)
        return cache

    def leases(self, ttl_s=20.0, link=None):
        return RedisLeases(link or self.link(), self.notes, ttl_s=ttl_s)

    async def wakeups(self, link=None, **options):
        wakeups = RedisWakeups(link or self.link(), **options)
        self._open.insert(0, wakeups)
        wakeups.start()
        async with asyncio.timeout(5):
            await wakeups.listening.wait()
        return wakeups

    def budget(self, rates, link=None):
        return RedisBudget(link or self.link(), self.notes, rates)

    async def aclose(self):
        for part in self._open:
            await part.aclose()


class MemoryWorld:
    """Processes that share a store in memory."""

    def __init__(self):
        self.clock = StoppedClock()
        self.notes = Notes()
        self.store = MemoryStore()

    def cache(self):
        return MemoryCache(self.store, self.clock)

    def leases(self, ttl_s=20.0):
        return MemoryLeases(self.store, real_clock, ttl_s=ttl_s)

    async def wakeups(self):
        return MemoryWakeups(self.store)

    def budget(self, rates):
        return MemoryBudget(self.store, self.notes, rates)

    async def aclose(self):
        pass
