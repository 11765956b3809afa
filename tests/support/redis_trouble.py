"""What can ail a Redis that the whole broker stands on, and how long a request waits for it.

async with redis_behind(valkey) as redis, open_world(url, redis.url, folder) as world:
    await redis.suffer("stopped")
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress

import redis.asyncio

from tests.support.proxies import Proxy, listening

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


class Redis:
    """A Valkey behind a proxy of ours; `url` leads through the proxy."""

    def __init__(self, valkey):
        self._valkey = valkey
        self._delay_s = 0.0
        self._loading = False
        self._proxy = Proxy(valkey.url, lambda: self._delay_s)
        self.url = ""

    async def serve(self, reader, writer):
        if self._loading:
            with suppress(OSError):
                while await reader.read(65536):
                    writer.write(LOADING)
        else:
            await self._proxy.serve(reader, writer)

    async def suffer(self, ailment):
        """Let it ail from now on."""
        await AILMENTS[ailment](self)

    async def heal(self):
        """Let it be well again."""
        self._delay_s, self._loading = 0.0, False
        self._valkey.start()
        os.kill(self._valkey.pid, signal.SIGCONT)
        for command in (("REPLICAOF", "NO", "ONE"), ("CONFIG", "SET", "maxmemory", "0")):
            await self.order(*command)

    async def order(self, *command):
        """Send it a command of an operator's, past the proxy."""
        async with redis.asyncio.Redis.from_url(self._valkey.url) as admin:
            await admin.execute_command(*command)

    async def stop(self):
        os.kill(self._valkey.pid, signal.SIGSTOP)

    async def kill(self):
        self._valkey.kill()

    async def load(self):
        """Start anew and read a large file first: connections are taken, questions are put off."""
        self._loading = True
        await self.order("CLIENT", "KILL", "TYPE", "normal")

    async def answer_after(self, seconds):
        self._delay_s = seconds


AILMENTS = {
    "killed": Redis.kill,
    "stopped": Redis.stop,
    "slow": lambda it: it.answer_after(0.8),
    "just in time": lambda it: it.answer_after(0.2),
    "paused": lambda it: it.order("CLIENT", "PAUSE", "2000", "ALL"),
    "read-only": lambda it: it.order("REPLICAOF", "127.0.0.1", "1"),
    "full": lambda it: it.order("CONFIG", "SET", "maxmemory", "1"),
    "loading": Redis.load,
    "flushed": lambda it: it.order("FLUSHALL"),
}


@asynccontextmanager
async def redis_behind(valkey):
    """Put a proxy before a Valkey; it is well again at the end."""
    trouble = Redis(valkey)
    async with listening(trouble.serve, valkey.url) as trouble.url:
        yield trouble
        await trouble.heal()


class Waits:
    """How long each request of a broker has waited for Redis in all; probes of its own do not count."""

    def __init__(self, broker):
        self._spent_s = 0.0
        for lane in (broker.redis.cache, broker.redis.locks):
            lane.ask = self._timed(lane.ask)
        cache, wakeups = broker.answers._ports.cache, broker.answers._ports.wakeups
        cache._found = self._timed(cache._found)
        wakeups.notify = self._timed(wakeups.notify)
        broker.at_hand.ask = self._told(broker.at_hand.ask)

    async def during(self, request):
        """Return what a request returned and how many seconds of it were spent on Redis."""
        self._spent_s = 0.0
        answer = await request
        return answer, self._spent_s

    def _timed(self, ask):
        async def timed(what, *rest):
            started_at = asyncio.get_running_loop().time()
            try:
                return await ask(what, *rest)
            finally:
                if not _is_probe(what):
                    self._add(started_at)

        return timed

    def _told(self, ask):
        """The short way waits for nothing: it is told."""

        def told(look, found):
            started_at = asyncio.get_running_loop().time()

            def took(hit):
                self._add(started_at)
                found(hit)

            ask(look, took)

        return told

    def _add(self, started_at):
        self._spent_s += asyncio.get_running_loop().time() - started_at


def _is_probe(what):
    return getattr(what, "words", ("",))[0] == "PING" or "tb:p" in getattr(what, "words", ())
