"""Carries commands to Redis and their replies back, within a deadline and never out of step.

A connection whose replies were not read to the end is dropped: on it the next question would be given
the last one's answer, one user's token to another. Nothing is retried.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from service.adapters import redis_allowance
from service.adapters.batches import Batcher
from service.adapters.redis_health import Breaker, Health, RedisUnavailable
from service.adapters.redis_url import Connection, Connections, Word, packed

Reply = Any


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One command. `insist` tries it even while Redis is left alone after a failure."""

    words: tuple[Word, ...]
    writes: bool = True
    insist: bool = False
    source: str = ""

    @property
    def kind(self) -> str:
        """What does not work when this does not: a server may well read and not write."""
        return "write" if self.writes else "read"

    def in_full(self) -> tuple[Word, ...]:
        """Return the command with its script spelled out."""
        return ("EVAL", self.source, *self.words[2:])


class Script:
    """A Lua script, called by its digest."""

    def __init__(self, source: str, *, writes: bool = True) -> None:
        self._source = source
        self._writes = writes
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *values: Word, insist: bool = False) -> Call:
        """Return a call of it with these keys and values."""
        words = ("EVALSHA", self._digest, len(keys), *keys, *values)
        return Call(words, self._writes, insist, self._source)


class Lane:
    """The connections for one purpose; what is asked in one turn of the loop travels together."""

    def __init__(self, connections: Connections, health: Health, breaker: Breaker, deadline_s: float) -> None:
        self._connections = connections
        self._health = health
        self._breaker = breaker
        self._deadline_s = deadline_s
        self._idle: list[Connection] = []
        self._asked: Batcher[Call, Reply | RedisUnavailable] = Batcher(self.exchange)

    async def ask(self, call: Call) -> Reply:
        """Return the reply; raises RedisUnavailable within the deadline and the request's allowance."""
        reply = await redis_allowance.within(self._asked.ask(call))
        if isinstance(reply, RedisUnavailable):
            raise reply
        return reply

    async def exchange(self, calls: Sequence[Call], asked_at: float) -> list[Reply | RedisUnavailable]:
        """Send the calls at once and return a reply for each, or why there is none; never raises.

        The deadline counts from `asked_at` (loop time).
        """
        now = asyncio.get_running_loop().time
        if not self._breaker.admits(now()) and not any(call.insist for call in calls):
            return [RedisUnavailable("left alone")] * len(calls)
        try:
            async with asyncio.timeout_at(asked_at + self._deadline_s):
                replies = await self._spell_out(calls, await self._round_trip([call.words for call in calls]))
        except (RedisError, OSError, TimeoutError) as problem:
            self._breaker.failed(now())
            await self._drop_idle()
            return [self._health.wrong(call.kind, problem) for call in calls]
        self._breaker.worked()
        return [self._judge(call, reply) for call, reply in zip(calls, replies, strict=True)]

    async def aclose(self) -> None:
        """Wait for what is out and close the connections."""
        await self._asked.aclose()
        while self._idle:
            with suppress(RedisError, OSError):
                await self._idle.pop().disconnect()

    async def _spell_out(self, calls: Sequence[Call], replies: list[Reply]) -> list[Reply]:
        """Call again in full those scripts that the server does not hold (it was restarted)."""
        missing = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            again = await self._round_trip([calls[place].in_full() for place in missing])
            for place, reply in zip(missing, again, strict=True):
                replies[place] = reply
        return replies

    def _judge(self, call: Call, reply: Reply) -> Reply | RedisUnavailable:
        if isinstance(reply, RedisError):
            return self._health.wrong(call.kind, reply)
        if reply != 0 or not call.writes:
            # A script that answers 0 has written nothing, so it does not show that writing works.
            self._health.right(call.kind)
        return reply

    async def _round_trip(self, commands: Sequence[tuple[Word, ...]]) -> list[Reply]:
        connection = self._idle.pop() if self._idle else self._connections.make()
        try:
            if await _spoiled(connection):
                # Not the same one connected again: who logs in may have changed since it was made.
                await connection.disconnect(nowait=True)
                connection = self._connections.make()
            await connection.connect()
            await connection.send_packed_command(packed(*commands))
            replies = [await _read(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        if any(isinstance(reply, ReadOnlyError) for reply in replies):
            # It was the primary once: the same name may lead to another server by now.
            await self._drop_idle()
        return replies

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


async def _spoiled(connection: Connection) -> bool:
    """Whether its server has hung up or has said something unasked."""
    if not connection.is_connected:
        return False
    something = _something_there(connection)
    if something is not None:
        return something
    try:
        return await connection.can_read_destructive()
    except (RedisError, OSError):
        return True


def _something_there(connection: Connection) -> bool | None:
    """Whether its stream or its parser holds anything, or has ended; None for a client of another build.

    redis-py's own way costs a turn of the loop and a time-out that fires, for each batch.
    """
    stream, parser = getattr(connection, "_reader", None), getattr(connection, "_parser", None)
    buffer, has_data = (
        getattr(stream, "_buffer", None),
        getattr(getattr(parser, "_reader", None), "has_data", None),
    )
    if stream is None or buffer is None or has_data is None:
        return None
    return bool(buffer) or stream.at_eof() or stream.exception() is not None or has_data()


async def _read(connection: Connection) -> Reply:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal
