"""Everything of a run, started and ended in order: sandbox and demo, service, worker.

The servers come before and go after it. `make run` and `make smoke` go through here alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from sandbox.calcom import app_of
from sandbox.demo import Demo, mount
from sandbox.dev.child import Child, Facts, Hear
from sandbox.dev.environment import GRACE_S, of_service, of_worker
from sandbox.dev.home import Home, home_of
from sandbox.dev.plan import Plan
from sandbox.dev.ports import HOST
from sandbox.dev.signals import held_back
from sandbox.dev.upstream import remembered, sandbox_of
from sandbox.embedded import Servers, servers
from sql.migrate import migrate

SERVICE, WORKER = "service", "worker"
_READY_S = 30.0
_POLL_S = 0.05
_CLOSE_S = 2.0
# Nobody misses temporary data after a power cut.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Failed(Exception):
    """A part of the run could not be started, or ended by itself; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    plan: Plan
    home: Home
    servers: Servers
    demo: Demo
    children: tuple[Child, Child]

    async def broken(self) -> None:
        """Wait until one of the two processes ends by itself, and raise Failed."""
        waiting = {asyncio.create_task(child.ended()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        raise Failed(_epitaph(waiting[done.pop()]))


@contextmanager
def storage(plan: Plan) -> Iterator[tuple[Home, Servers]]:
    """Start PostgreSQL and Valkey in the run's folder; blocks, and wants the main thread."""
    stack = ExitStack()
    try:
        with held_back():
            home = stack.enter_context(home_of(plan))
            pair = stack.enter_context(_servers(home, forgetful=plan.keep is None))
        yield home, pair
    finally:
        with held_back():
            stack.close()


def _servers(home: Home, *, forgetful: bool) -> AbstractContextManager[Servers]:
    if not forgetful:
        return servers(home.base)
    return servers(home.base, postgres_options=_FORGETFUL, valkey_options={"appendonly": "no"})


@asynccontextmanager
async def running(plan: Plan, home: Home, pair: Servers, hear: Hear) -> AsyncIterator[Stack]:
    """Start everything and wait until it answers; end it in reverse. Raises Failed, MigrationError."""
    await migrate(pair.postgres.url)
    sandbox = None if plan.real else sandbox_of(plan, home)
    demo = Demo(plan, home.keys, sandbox)

    def heard(who: str, facts: Facts) -> None:
        demo.hear("worker" if who == WORKER else "service", facts)
        hear(who, facts)

    async with (
        front(plan, home, demo),
        _process(WORKER, "work", of_worker(plan, home, pair), heard) as worker,
        _process(SERVICE, "serve", of_service(plan, home, pair), heard) as service,
    ):
        await _answers(service, plan.ports.observe)
        await _answers(worker, plan.ports.worker)
        async with demo.at_work():
            yield Stack(plan, home, pair, demo, (service, worker))


@asynccontextmanager
async def front(plan: Plan, home: Home, demo: Demo, host: str = HOST) -> AsyncIterator[None]:
    """Serve the sandbox and the demo on one origin."""
    sandbox = demo.sandbox
    app = web.Application() if sandbox is None else app_of(sandbox)
    mount(demo, app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    telling = asyncio.create_task(demo.feed.run(demo.gather))
    try:
        await web.TCPSite(runner, host, plan.ports.demo).start()
        async with remembered(sandbox, home, keep=plan.keep is not None):
            yield
    finally:
        telling.cancel()
        demo.feed.close()
        await runner.cleanup()
        with suppress(asyncio.CancelledError):
            await telling


@asynccontextmanager
async def _process(name: str, command: str, environ: Mapping[str, str], hear: Hear) -> AsyncIterator[Child]:
    child = await Child.start(name, command, environ, hear)
    try:
        yield child
    finally:
        await child.stop(GRACE_S)


async def _answers(child: Child, port: int) -> None:
    """Wait until the process says that it is ready."""
    url = f"http://{HOST}:{port}/readyz"
    with suppress(TimeoutError):
        async with aiohttp.ClientSession() as session, asyncio.timeout(_READY_S):
            while child.exit_code is None:
                with suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.ok:
                            return
                await asyncio.sleep(_POLL_S)
    raise Failed(_epitaph(child))


def _epitaph(child: Child) -> str:
    code = child.exit_code
    what = f"did not answer within {_READY_S:.0f} s" if code is None else f"ended with exit code {code}"
    return f"The {child.name} {what}. Its last words:\n{child.last_words() or '(none)'}"
