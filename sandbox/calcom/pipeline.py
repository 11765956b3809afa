"""Takes one call from arrival to answer: journals it and carries out the faults it has drawn.

Which call draws which is decided in `faults`; the execution itself is in `executor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from aiohttp import web

from sandbox.calcom import spoil
from sandbox.calcom.call import Call
from sandbox.calcom.executor import Endpoint, Executor
from sandbox.calcom.faults import Drawn, FaultKind, Faults
from sandbox.calcom.gates import Gates
from sandbox.calcom.journal import Journal
from sandbox.calcom.state import State
from sandbox.calcom.throttle import Throttle

Result = TypeVar("Result")

LEFT_POLL_S = 0.02
ALLOWED_HEADERS = (
    "x-cal-client-id, x-cal-secret-key, x-cal-platform-embed, cal-api-version, Accept, Authorization, "
    "Content-Type, Origin"
)
CORS = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, PATCH, DELETE, HEAD, POST, PUT, OPTIONS",
    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
    "Access-Control-Max-Age": "86400",
}


class Left(Exception):
    """The connection was closed without an answer, by us or by the caller."""


class Pipeline:
    """Everything a call passes through; one for each sandbox."""

    def __init__(self, seed: int, state: State, journal: Journal, throttle: Throttle) -> None:
        self._state = state
        self._journal = journal
        self._executor = Executor(throttle)
        self._late: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[web.StreamResponse]] = set()
        self.faults = Faults(seed)
        self.gates = Gates()

    def serve(self, route: str, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the aiohttp handler that takes calls of this route through to the endpoint."""

        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._receive(route, request)
            finish = self._finish(call, endpoint)
            if call.draws or self.gates:  # nothing else can make a call wait, and so be left half-way
                return await asyncio.shield(_kept(self._running, finish))
            return await finish

        return handle

    async def _finish(self, call: Call, endpoint: Endpoint) -> web.StreamResponse:
        """Answer the call and journal it, whether or not its caller is still there, as Express does."""
        try:
            return await self._answer(call, endpoint)
        except Left:
            return _cut(call)
        finally:
            call.entry.answered &= _connected(call.request)
            self._journal.close(call.entry)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """Answer a CORS preflight as Express does, before any guard."""
        entry = self._journal.open("preflight", request.method, request.path)
        entry.status = 204
        self._journal.close(entry)
        return web.Response(status=204, headers=PREFLIGHT)

    async def shut(self) -> None:
        """Let every call that waits go on at once, and drop those that were to run late."""
        self.faults.clear()
        self.gates.shut()
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, *self._running, return_exceptions=True)

    async def _receive(self, route: str, request: web.Request) -> Call:
        entry = self._journal.open(route, request.method, request.path)
        entry.client = request.match_info.get("clientId")
        call = Call(request, self._state, self.gates, entry, {})
        try:
            call.body = await request.read()
        except (web.HTTPException, ConnectionError):
            self._journal.close(entry)
            raise
        call.locate()
        if self.faults:
            call.draws = self.faults.draw(route, entry.client, entry.user_id)
            entry.faults = [kind.value for kind in call.draws]
        return call

    async def _answer(self, call: Call, endpoint: Endpoint) -> web.Response:
        if FaultKind.ZOMBIE in call.draws:
            self._run_late(call, endpoint, call.draws[FaultKind.ZOMBIE].delay_s)
        response = await self._before(call) if call.draws else None
        if response is None:
            response = await self._executed(call, endpoint)
            response = await self._after(call, response) if call.draws else response
        if response.content_type != "text/html":  # a proxy's error page is not ours to open to browsers
            response.headers.update(CORS)
        return response

    # Before the execution

    async def _before(self, call: Call) -> web.Response | None:
        draws = call.draws
        if FaultKind.ZOMBIE in draws or FaultKind.DROP_BEFORE in draws:
            raise Left
        if FaultKind.HANG_BEFORE in draws:
            await _hang(call, draws[FaultKind.HANG_BEFORE])
        if FaultKind.DELAY_BEFORE in draws:
            await self.gates.pause(draws[FaultKind.DELAY_BEFORE].delay_s)
        response = spoil.before(draws, call.request)
        if response is not None:
            call.entry.status = response.status
        return response

    def _run_late(self, call: Call, endpoint: Endpoint, delay_s: float) -> None:
        """Execute a second life of the call once its connection is gone, with an entry of its own."""
        late = self._again(call)
        late.entry.answered = False

        async def run() -> None:
            try:
                await asyncio.sleep(delay_s)
                await self._executor.run(late, endpoint)
            finally:
                self._journal.close(late.entry)

        _kept(self._late, run())

    def _again(self, call: Call) -> Call:
        first = call.entry
        entry = self._journal.open(first.route, first.method, first.path)
        entry.duplicate_of, entry.faults = first.call, list(first.faults)
        entry.client = call.params.get("clientId")
        again = Call(call.request, self._state, self.gates, entry, call.draws, call.body)
        again.locate()
        return again

    # The execution

    async def _executed(self, call: Call, endpoint: Endpoint) -> web.Response:
        """Execute the call, twice when it was duplicated on its way; one of the answers is seen."""
        response = await self._executor.run(call, endpoint)
        twice = call.draws.get(FaultKind.DUPLICATE)
        if twice is None:
            return response
        again = self._again(call)
        second = await self._executor.run(again, endpoint)
        seen_second = twice.fault.variant == "second"
        call.entry.answered, again.entry.answered = not seen_second, seen_second
        self._journal.close(again.entry)
        return second if seen_second else response

    # After the execution

    async def _after(self, call: Call, response: web.Response) -> web.Response:
        draws = call.draws
        if FaultKind.DELAY_AFTER in draws:
            await self.gates.pause(draws[FaultKind.DELAY_AFTER].delay_s)
        if FaultKind.HANG_AFTER in draws:
            await _hang(call, draws[FaultKind.HANG_AFTER])
        if FaultKind.DROP_AFTER in draws:
            raise Left
        spoiled = spoil.after(draws, response)
        if spoiled is not response:
            call.entry.status = spoiled.status
        return spoiled


def _kept(tasks: set[asyncio.Task[Result]], work: Coroutine[None, None, Result]) -> asyncio.Task[Result]:
    """Start the work as a task that is kept in the set while it runs."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def _hang(call: Call, drawn: Drawn) -> None:
    """Answer nothing until the fault is cleared; raises Left once the caller has gone."""
    while not drawn.fault.cleared.is_set():
        if not _connected(call.request):
            raise Left
        try:
            await asyncio.wait_for(drawn.fault.cleared.wait(), LEFT_POLL_S)
        except TimeoutError:
            continue


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _cut(call: Call) -> web.Response:
    """Close the connection at once; the returned response reaches nobody."""
    call.entry.answered = False
    if call.request.transport is not None:
        call.request.transport.abort()
    return web.Response(status=500)
