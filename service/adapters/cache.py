"""The cache port over Redis: sealed answers, looked up in batches, with a near cache in front.

Everything in it may be lost, and without Redis everything is a miss. It decides nothing about tokens.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

from service.adapters import redis_allowance
from service.adapters.batches import Batcher
from service.adapters.cache_scripts import Look, Presented, block_call, find_call, put_call
from service.adapters.cache_values import Values, Vault, name_of_confirmation
from service.adapters.near import Bounded, NearCache, Refusals
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Call, Reply
from service.adapters.redis_link import RedisLink
from service.broker.errors import SealBroken, SealKeyMissing
from service.broker.model import CurrentToken, Fingerprint, LineageEntry, UserKey
from service.broker.ports import CacheHit, Clock, Found, Observer

_PAY_AGAIN_S = 1.0
_MOST_LATELY = 4_096


class RedisCache:
    """Keeps current tokens in Redis and, for at most `near_life_s` seconds, in this process.

    With `only_current` older tokens of a user are forgotten when a new generation comes: they do not count.
    """

    def __init__(
        self,
        link: RedisLink,
        vault: Vault,
        observer: Observer,
        clock: Clock,
        *,
        near_life_s: float = 1.0,
        most_near: int = 50_000,
        only_current: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.near_life_s = near_life_s
        self._link = link
        self._values = Values(vault)
        self._observer = observer
        self._clock = clock
        self._monotonic = monotonic
        self._only_current = only_current
        self._near = NearCache(most_near)
        self._refusals = Refusals(most_near)
        self._confirmed: Bounded[UserKey, tuple[int, float]] = Bounded(most_near)
        self._looks: Batcher[Look, CacheHit | None] = Batcher(self._look_up)
        self._lately: set[Look] = set()
        self._paying: asyncio.Task[None] | None = None

    def near(self, look: Look) -> CacheHit | None:
        """Return what this process itself remembers; see the port `Looks`."""
        if isinstance(look, Fingerprint):
            return self._near.find(look, self._monotonic())
        return self._near.current(look, self._monotonic())

    def ask(self, look: Look, found: Found) -> None:
        """Ask Redis, together with whatever else is asked in this turn of the loop; see the port `Looks`."""
        self._looks.tell(look, lambda hit, _: found(hit))

    async def find(self, fingerprints: Sequence[Fingerprint]) -> CacheHit | None:
        """Return what is cached for a presented token; None on a miss or without Redis."""
        for fingerprint in fingerprints:
            hit = self.near(fingerprint)
            if hit is not None:
                return hit
        looks = [self._looks.ask(fingerprint) for fingerprint in fingerprints]
        hits = [await self._found(look) for look in looks]
        return next((hit for hit in hits if hit is not None), None)

    async def current(self, key: UserKey) -> CacheHit | None:
        """Return what is cached for a user; `presented` is then the current generation itself."""
        return self.near(key) or await self._found(self._looks.ask(key))

    async def put(self, current: CurrentToken, presented: Presented = (), *, reopen: bool = False) -> None:
        """Cache an answer unless a newer generation, or a block on this one, stands there.

        `reopen` lifts a block on exactly this generation: only for who has just had it confirmed.
        """
        key, asked_at = current.key, self._monotonic()
        if reopen:
            self._refusals.lift(key, current.generation)
        self._near.drop(key, below=current.generation)
        admitted = self._refusals.admits(key, current.generation, asked_at)
        now = self._clock()
        if not admitted or current.expires_at <= now:
            return
        try:
            call = put_call(
                self._values, current, presented, now, reopen=reopen, only_current=self._only_current
            )
            kept = await self._ask(call)
            near_s = self.near_life_s
        except RedisUnavailable:
            # Others may block it without our hearing of it: half a life covers what was read before that.
            kept, near_s = 1, self.near_life_s / 2
        if kept == 1:
            self._keep_near(current, presented, asked_at, near_s)

    async def block(self, key: UserKey, generation: int) -> bool:
        """Drop what is cached and refuse `generation` and older ones; False when Redis did not do it.

        A block that Redis did not do is done as soon as this process finds it working again; until then
        this process believes nothing that Redis says of these generations.
        """
        newest = self._refusals.refuse(key, generation)
        self._near.drop(key)
        self._confirmed.pop(key, None)
        try:
            await self._carry_out_block(key, newest, insist=True)
        except RedisUnavailable:
            self._refusals.owed[key] = newest
            if self._paying is None or self._paying.done():
                self._paying = asyncio.create_task(self._pay_owed())
            return False
        return True

    async def forget(self, key: UserKey) -> bool:
        """Drop what is cached and refuse every generation up to now; False when Redis did not do it."""
        return await self.block(key, int(self._clock().timestamp() * 1000))

    async def note_confirmed(self, key: UserKey, generation: int, seconds: float) -> None:
        """Remember for `seconds` that upstream has just confirmed this generation's token."""
        if seconds <= 0:
            return
        self._confirmed[key] = (generation, self._monotonic() + seconds)
        with suppress(RedisUnavailable):
            ms = math.ceil(seconds * 1000)
            await self._ask(Call(("SET", name_of_confirmation(key), generation, "PX", ms)))

    async def recently_confirmed(self, key: UserKey, generation: int) -> bool:
        """Whether `note_confirmed` for this generation is still remembered."""
        if not self._refusals.admits(key, generation, self._monotonic()):
            return False
        try:
            noted = await self._ask(Call(("GET", name_of_confirmation(key)), writes=False))
        except RedisUnavailable:
            known, until = self._confirmed.get(key, (0, 0.0))
            return known == generation and self._monotonic() < until
        return bool(noted == b"%d" % generation)

    async def aclose(self) -> None:
        """Wait for the look-ups under way and give up what is owed; the link stays open."""
        await self._looks.aclose()
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.wait({self._paying})

    async def _ask(self, call: Call) -> Reply:
        return await self._link.cache.ask(call)

    async def _found(self, look: Awaitable[CacheHit | None]) -> CacheHit | None:
        with suppress(RedisUnavailable):
            return await redis_allowance.within(look)
        return None

    async def _look_up(self, looks: Sequence[Look], asked_at: float) -> list[CacheHit | None]:
        """Answer one batch; `asked_at` is the loop's time, what is near goes by our own clock."""
        sent_at = self._monotonic()
        (reply,) = await self._link.cache.exchange([find_call(looks)], asked_at)
        if isinstance(reply, RedisUnavailable):
            return [None] * len(looks)
        if not isinstance(reply, list) or len(reply) != 2 * len(looks):
            self._observer.note("cache.foreign", reason="not an answer to this question")
            return [None] * len(looks)
        now = self._clock()
        held = iter(reply)
        return [self._read(look, next(held), next(held), sent_at, now) for look in looks]

    def _read(
        self, look: Look, token: bytes | None, held: bytes | None, sent_at: float, now: datetime
    ) -> CacheHit | None:
        """Open what was found and remember it; what does not open is a miss.

        And an alarm, unless its key is gone: a ring may be rid of a key before Redis is rid of its seals.
        """
        if held is None or (token is None and isinstance(look, Fingerprint)):
            return None
        try:
            if isinstance(look, Fingerprint):
                entry = self._values.read_token(look, token or b"")
                current = self._values.read_user(entry.key, held)
            else:
                current = self._values.read_user(look, held)
                entry = _itself(current)
        except SealBroken as error:
            self._note_broken(error, look)
            return None
        dead = current.expires_at <= now or entry.counts_until <= now
        if dead or not self._refusals.admits(current.key, current.generation, sent_at):
            return None
        if self._asked_before(look):
            presented = ((look, entry),) if isinstance(look, Fingerprint) else ()
            self._remember(current, presented, sent_at, self.near_life_s, now)
        return CacheHit(entry, current)

    def _asked_before(self, look: Look) -> bool:
        """Whether this was asked for lately: most tokens come once, and to remember those helps nobody."""
        if look in self._lately:
            return True
        if len(self._lately) >= _MOST_LATELY:
            self._lately.clear()
        self._lately.add(look)
        return False

    def _note_broken(self, error: SealBroken, look: Look) -> None:
        key = look if isinstance(look, UserKey) else None
        if isinstance(error, SealKeyMissing):
            self._observer.note("cache.key_missing", key)
        else:
            self._observer.note("cache.foreign", key, reason="does not open")

    def _keep_near(self, current: CurrentToken, presented: Presented, asked_at: float, near_s: float) -> None:
        """Remember an answer here, unless it was blocked meanwhile."""
        if self._refusals.admits(current.key, current.generation, asked_at):
            self._remember(current, presented, asked_at, near_s, self._clock())

    def _remember(
        self, current: CurrentToken, presented: Presented, asked_at: float, near_s: float, now: datetime
    ) -> None:
        """Do so; its life counts from when it was asked, so that no block outruns it."""
        left_s = (current.expires_at - now).total_seconds()
        until = asked_at + (min(left_s, near_s))
        self._near.keep(current, until, self._monotonic())
        for fingerprint, entry in presented:
            counts_s = (entry.counts_until - now).total_seconds()
            self._near.keep_token(fingerprint, entry, asked_at + (min(counts_s, near_s)))

    async def _carry_out_block(self, key: UserKey, generation: int, *, insist: bool = False) -> None:
        await self._ask(block_call(key, generation, insist=insist))
        self._refusals.done(key, generation, self._monotonic())

    async def _pay_owed(self) -> None:
        """Carry out, as soon as Redis works, the blocks it could not do."""
        redis_allowance.end()
        while self._refusals.owed:
            await asyncio.sleep(_PAY_AGAIN_S)
            with suppress(RedisUnavailable):
                for key, generation in list(self._refusals.owed.items()):
                    await self._carry_out_block(key, generation)


def _itself(current: CurrentToken) -> LineageEntry:
    """Return the entry of a current token that nobody presented."""
    return LineageEntry(current.key, current.generation, current.expires_at)
