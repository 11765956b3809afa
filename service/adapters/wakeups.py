"""The wake-up port over Redis: one subscription a process tells its waiters of new generations.

A lost message costs a wait and nothing else: who waits looks again when its time is up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson
from redis.exceptions import RedisError

from service.adapters import redis_allowance
from service.adapters.batches import Batcher
from service.adapters.near import Bounded
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Call, Reply
from service.adapters.redis_link import RedisLink
from service.adapters.redis_url import Connection, packed
from service.broker.model import UserKey
from service.broker.ports import Roll

_CHANNEL = "tb:wake"
_MOST_IN_ONE = 128
_PONG_S = 1.0
_AGAIN_S = 0.1
_CANCEL_AGAIN_S = 0.5
_AGAIN_AT_MOST_S = 5.0

_News = tuple[str, str, int]
"""A user's client, id and new generation."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    seen: int
    woken: asyncio.Future[None]


class Waiters:
    """Who in this process waits for which user, and what was announced lately."""

    def __init__(self, most_recent: int = 10_000) -> None:
        self._recent: Bounded[UserKey, int] = Bounded(most_recent)
        self._waiting: dict[UserKey, set[_Waiter]] = {}

    def announce(self, key: UserKey, generation: int) -> None:
        """Wake everybody who waits for a generation up to this one."""
        if generation > self._recent.get(key, -1):
            self._recent[key] = generation
        for waiter in self._waiting.get(key, ()):
            if generation > waiter.seen and not waiter.woken.done():
                waiter.woken.set_result(None)

    async def wait(self, key: UserKey, seen: int, timeout_s: float) -> bool:
        """Wait for a generation above `seen`; False when the time passed."""
        if self._recent.get(key, seen) > seen:
            return True
        waiter = _Waiter(seen, asyncio.get_running_loop().create_future())
        waiting = self._waiting.setdefault(key, set())
        waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.woken
        except TimeoutError:
            return False
        finally:
            waiting.discard(waiter)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]
        return True


class RedisWakeups:
    """Wakes waiters of every process; those of this one also while Redis is down."""

    def __init__(self, link: RedisLink, *, ping_every_s: float = 5.0, roll: Roll = random.random) -> None:
        self._link = link
        self._ping_every_s = ping_every_s
        self._roll = roll
        self._waiters = Waiters()
        self._told: Batcher[_News, None] = Batcher(self._tell, most=_MOST_IN_ONE)
        self._listener: asyncio.Task[None] | None = None
        self._failures = 0
        self.listening = asyncio.Event()
        """Set while the subscription stands."""

    def start(self) -> None:
        """Begin to listen, and go on for as long as the process lives, whatever becomes of Redis."""
        self._listener = asyncio.create_task(self._listen_always())

    async def aclose(self) -> None:
        """Stop listening; who still waits does so to its time-out."""
        if self._listener is not None:
            while not self._listener.done():  # an answer at that very instant can make it miss its end once
                self._listener.cancel()
                await asyncio.wait({self._listener}, timeout=_CANCEL_AGAIN_S)

    async def notify(self, key: UserKey, generation: int) -> None:
        """Say that `generation` is current now."""
        self._waiters.announce(key, generation)
        with suppress(RedisUnavailable):
            await redis_allowance.within(self._told.ask((key.client, key.user_id, generation)))

    async def wait(self, key: UserKey, seen: int, timeout_s: float) -> bool:
        """Wait for a generation above `seen`; False when the time passed (it may still have come)."""
        return await self._waiters.wait(key, seen, timeout_s)

    async def _tell(self, news: Sequence[_News], asked_at: float) -> list[None]:
        """Publish what comes of one turn of the loop, a group of settlements, in one message.

        News that come alone go as they always did, so that a release before this one understands them.
        """
        message = orjson.dumps(news if len(news) > 1 else news[0])
        call = Call(("PUBLISH", _CHANNEL, message), writes=False)
        await self._link.locks.exchange([call], asked_at)
        return [None] * len(news)

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as problem:
                self._link.health.wrong("wakeups", problem)
            again_s = min(_AGAIN_S * 2 ** min(self._failures, 10), _AGAIN_AT_MOST_S)
            self._failures += 1
            await asyncio.sleep(again_s * (1 + self._roll()) / 2)

    async def _listen(self) -> None:
        """Subscribe and hear until the connection breaks."""
        connection = self._link.make_connection()
        try:
            async with asyncio.timeout(self._link.deadline_s):
                await connection.connect()
                await _send(connection, "SUBSCRIBE", _CHANNEL)
                await connection.read_response()
            self._link.health.right("wakeups")
            self._failures = 0
            self.listening.set()
            await self._hear(connection)
        finally:
            self.listening.clear()
            await connection.disconnect(nowait=True)

    async def _hear(self, connection: Connection) -> None:
        asked = False
        while True:
            said = await connection.read_response(timeout=_PONG_S if asked else self._ping_every_s)
            if said is not None:
                asked = False
                self._take(said)
            elif asked:
                # Half-open: without asking, silence and a dead peer look alike.
                raise TimeoutError
            else:
                await _send(connection, "PING")
                asked = True

    def _take(self, said: Reply) -> None:
        match said:
            case [b"message", _, data]:
                with suppress(ValueError, TypeError, LookupError):
                    news = orjson.loads(data)
                    for client, user_id, generation in news if isinstance(news[0], list) else [news]:
                        self._waiters.announce(UserKey(client, user_id), int(generation))


async def _send(connection: Connection, *words: str) -> None:
    await connection.send_packed_command(packed(words))
