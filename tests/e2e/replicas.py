"""Processes of the broker that are replaced where they stand: the same command, settings and ports again."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import datetime
from time import time

from sandbox.dev.ports import HOST, Ports
from tests.support.programs import ROOT, token_broker

_STARTED = {"serve": "service.started", "work": "worker.started"}


class Replica:
    """One of several processes that run the same command; `replaced` holds each replacement's Farewell."""

    def __init__(self, command, environment, grace_s):
        ports = Ports.free()
        self.public, self.internal = f"{HOST}:{ports.public}", f"{HOST}:{ports.internal}"
        self.replaced = []
        self._command = command
        self._tree = ROOT
        self._grace_s = grace_s
        self._environment = environment | {
            "TOKEN_BROKER_PUBLIC_ADDRESS": self.public,
            "TOKEN_BROKER_INTERNAL_ADDRESS": self.internal,
            "TOKEN_BROKER_OBSERVE_ADDRESS": f"{HOST}:{ports.observe}",
        }
        self._running = AsyncExitStack()

    async def __aenter__(self):
        program = token_broker(self._command, self._environment, self._tree)
        self.program = await self._running.enter_async_context(program)
        await self.program.said(_STARTED[self._command])
        return self

    async def __aexit__(self, *failure):
        await self._running.__aexit__(*failure)

    def tell_to_end(self):
        """Send SIGTERM, as Kubernetes does."""
        self._told_at = time()
        self.program.process.send_signal(signal.SIGTERM)

    async def replace(self, tree=None):
        """See the process that was told to end, and start another in its place, of another release if so."""
        async with asyncio.timeout(self._grace_s):
            code = await self.program.process.wait()
        await self._running.aclose()
        self.replaced.append(Farewell(code, self._told_at, self.program.of("refresh.rotated")))
        self._tree = tree or self._tree
        await self.__aenter__()


class Farewell:
    """How a process ended: its exit code, and how many rotations it finished after it was told to end."""

    def __init__(self, code, told_at, rotated):
        self.code = code
        self.carried_over = sum(_written_at(line) > told_at for line in rotated)


def _written_at(line):
    return datetime.fromisoformat(line["ts"]).timestamp()
