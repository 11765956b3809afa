"""One process's cache over the shared simulated Redis, in the steps in which the adapter takes them.

What is asked takes its way and may be carried out although nobody hears of it, so answers, blocks and what
this process remembers can overtake each other as they do with a real Redis.
"""

from __future__ import annotations

from service.adapters.near import NearCache, Refusals
from service.broker.model import LineageEntry
from service.broker.ports import CacheHit

_PAY_AGAIN_S = 1.0


class Unreachable(Exception):
    """Redis did not do it, or nobody knows."""


class RedisLine:
    """One process's connection to Redis; no answer takes longer than a quarter of a second."""

    def __init__(self, world):
        self.world = world

    async def ask(self, call, *arguments):
        world = self.world
        if world.loop.over:
            raise Unreachable
        if world.strike(1):
            await world.alive()
        if world.redis.down:
            await world.spend(0.25 if world.random() < 0.2 else 0.001)
            raise Unreachable
        if world.likely(world.profile.redis_fails):
            await self._fail(call, arguments)
        if world.trace is not None:
            world.say("asks Redis: {}", call.__name__)
        if world.random() < 0.5:
            await world.spend(0.004 * world.random())
        answer = call(*arguments)
        if world.random() < 0.3:
            await world.spend(0.004 * world.random())
        return answer

    async def _fail(self, call, arguments):
        world = self.world
        world.say("is failed by Redis: {}", call.__name__)
        world.troubles["Redis fails"] += 1
        if world.random() < 0.5:
            world.later(world.between(0.0, 0.5), call, *arguments)
        await world.spend(0.25)
        raise Unreachable


class Shelves:
    """What the scripts of the adapter do in Redis, each in one step."""

    def __init__(self, world, clock, observe):
        self._store = world.redis
        self._clock = clock
        self._observe = observe

    def look(self, key):
        current, life = self._store.users.get(key, (None, None))
        return (None, None) if current is None or current.expires_at <= self._clock() else (current, life)

    def find(self, fingerprint):
        entry, life = self._store.tokens.get(fingerprint, (None, None))
        if entry is None or entry.counts_until <= self._clock():
            return None
        current, lives = self.look(entry.key)
        return None if current is None or lives is not life else CacheHit(entry, current)

    def put(self, current, presented, reopen):
        store, key, generation = self._store, current.key, current.generation
        blocked = store.blocks.get(key, -1)
        if generation < blocked or (generation == blocked and not reopen):
            return False
        held, life = self.look(key)
        if held is not None and held.generation > generation:
            return False
        if generation == blocked:
            store.blocks[key] = generation - 1
        life = life or object()
        store.users[key] = (current, life)
        for fingerprint, entry in presented:
            store.tokens[fingerprint] = (entry, life)
        self._observe(current)
        return True

    def block(self, key, generation):
        self._store.users.pop(key, None)
        self._store.confirmed.pop(key, None)
        self._store.blocks[key] = max(generation, self._store.blocks.get(key, -1))

    def confirm(self, key, generation, until):
        self._store.confirmed[key] = (generation, until)

    def confirmed(self, key):
        return self._store.confirmed.get(key, (None, 0.0))


class Cache:
    """The port Cache of one process."""

    near_life_s = 1.0

    def __init__(self, line, shelves, clock, journal):
        self._journal = journal
        self._line = line
        self._shelves = shelves
        self._clock = clock
        self._near = NearCache()
        self._refusals = Refusals()
        self._confirmed = {}
        self._paying = None

    async def find(self, fingerprints):
        sent_at = self._now()
        for fingerprint in fingerprints:
            hit = self._near.find(fingerprint, sent_at)
            if hit is not None:
                return hit
        for fingerprint in fingerprints:
            hit = await self._look(self._shelves.find, fingerprint)
            if hit is not None and self._admits(hit.current, sent_at):
                self._keep(hit.current, [(fingerprint, hit.presented)], sent_at, self.near_life_s)
                return hit
        return None

    async def current(self, key):
        sent_at = self._now()
        near = self._near.current(key, sent_at)
        if near is not None:
            return near
        current, _ = await self._look(self._shelves.look, key) or (None, None)
        if current is None or not self._admits(current, sent_at):
            return None
        self._keep(current, (), sent_at, self.near_life_s)
        return CacheHit(_itself(current), current)

    async def put(self, current, presented=(), *, reopen=False):
        key, asked_at = current.key, self._now()
        if reopen:
            self._refusals.lift(key, current.generation)
        self._near.drop(key, below=current.generation)
        if not self._admits(current, asked_at):
            return
        try:
            kept, near_s = (
                await self._line.ask(self._shelves.put, current, presented, reopen),
                self.near_life_s,
            )
        except Unreachable:
            kept, near_s = True, self.near_life_s / 2
        if kept:
            self._keep(current, presented, asked_at, near_s)

    async def block(self, key, generation):
        newest = self._refusals.refuse(key, generation)
        self._near.drop(key)
        self._confirmed.pop(key, None)
        try:
            await self._line.ask(self._shelves.block, key, newest)
        except Unreachable:
            self._refusals.owed[key] = newest
            self._journal.note_owed(key, newest, self._now())
            if self._paying is None or self._paying.done():
                self._paying = self._line.world.loop.create_task(self._pay_owed())
            return False
        self._blocked(key, newest)
        return True

    async def forget(self, key):
        return await self.block(key, int(self._clock().timestamp() * 1000))

    async def note_confirmed(self, key, generation, seconds):
        until = self._now() + seconds
        self._confirmed[key] = (generation, until)
        await self._look(self._shelves.confirm, key, generation, until)

    async def recently_confirmed(self, key, generation):
        if not self._refusals.admits(key, generation, self._now()):
            return False
        noted = await self._look(self._shelves.confirmed, key) or self._confirmed.get(key, (None, 0.0))
        return noted[0] == generation and self._now() < noted[1]

    async def _look(self, call, *arguments):
        try:
            return await self._line.ask(call, *arguments)
        except Unreachable:
            return None

    async def _pay_owed(self):
        while self._refusals.owed:
            await self._line.world.spend(_PAY_AGAIN_S)
            for key, generation in list(self._refusals.owed.items()):
                try:
                    await self._line.ask(self._shelves.block, key, generation)
                except Unreachable:
                    break
                self._blocked(key, generation)

    def _blocked(self, key, generation):
        self._refusals.done(key, generation, self._now())
        self._journal.note_paid(key, generation, self._now())

    def _now(self):
        return self._line.world.loop.now

    def _admits(self, current, asked_at):
        if current.expires_at <= self._clock():
            return False
        return self._refusals.admits(current.key, current.generation, asked_at)

    def _keep(self, current, presented, asked_at, near_s):
        """Remember an answer here; its life counts from when it was asked."""
        if not self._refusals.admits(current.key, current.generation, asked_at):
            return
        now = self._clock()
        until = asked_at + min(near_s, (current.expires_at - now).total_seconds())
        self._near.keep(current, until, self._now())
        for fingerprint, entry in presented:
            counts_s = (entry.counts_until - now).total_seconds()
            self._near.keep_token(fingerprint, entry, asked_at + min(near_s, counts_s))


def _itself(current):
    return LineageEntry(current.key, current.generation, current.expires_at)
