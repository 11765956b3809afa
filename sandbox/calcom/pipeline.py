"""Takes one call from arrival to answer: journal, gates, faults, throttle, endpoint, envelope.

Carries drawn faults out; which call draws which is decided in `faults`. Never imports the control doors.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.calcom import errors, spoil
from sandbox.calcom.call import Answer, Call
from sandbox.calcom.config import SandboxConfig
from sandbox.calcom.faults import Drawn, FaultKind, Faults
from sandbox.calcom.gates import Gates
from sandbox.calcom.journal import Journal
from sandbox.calcom.state import RecordMissing, State, UniqueViolation
from sandbox.calcom.throttle import Throttle

Endpoint = Callable[[Call], Awaitable[Answer]]

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
_log = logging.getLogger("sandbox.calcom")


class Left(Exception):
    """The connection was closed without an answer, by us or by the caller."""


class Pipeline:
    """Everything a call passes through; one for each sandbox."""

    def __init__(self, config: SandboxConfig, state: State, journal: Journal, throttle: Throttle) -> None:
        self._state = state
        self._journal = journal
        self._throttle = throttle
        self._late: set[asyncio.Task[None]] = set()
        self.throttling = config.throttle
        self.faults = Faults(config.seed)
        self.gates = Gates()

    def serve(self, route: str, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the aiohttp handler that takes calls of this route through to the endpoint."""

        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._receive(route, request)
            try:
                response = await self._answer(call, endpoint)
            except Left:
                response = _cut(call)
            except asyncio.CancelledError:
                call.entry.answered = False
                raise
            finally:
                call.entry.answered &= _connected(request)
                self._journal.close(call.entry)
            return response

        return handle

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
        await asyncio.gather(*self._late, return_exceptions=True)

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
        early = await self._before(call) if call.draws else None
        response = early or await self._executed(call, endpoint)
        if call.draws and early is None:
            response = await self._after(call, response)
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
                await self._execute(late, endpoint)
            finally:
                self._journal.close(late.entry)

        task = asyncio.get_running_loop().create_task(run())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

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
        response = await self._execute(call, endpoint)
        twice = call.draws.get(FaultKind.DUPLICATE)
        if twice is None:
            return response
        again = self._again(call)
        second = await self._execute(again, endpoint)
        seen_second = twice.fault.variant == "second"
        call.entry.answered, again.entry.answered = not seen_second, seen_second
        self._journal.close(again.entry)
        return second if seen_second else response

    async def _execute(self, call: Call, endpoint: Endpoint) -> web.Response:
        entry = call.entry
        try:
            if self.gates:
                await call.reach("before")
            call.json()  # the body parser comes before every guard
            if self.throttling:
                self._admit(call)
            response = _rendered(await endpoint(call))
            if self.gates:
                await call.reach("after")
        except Exception as error:  # noqa: BLE001 - like Nest, any fault of the server is a bare 500
            response = self._refused(call, error)
        entry.status = response.status
        response.headers.update(call.headers)
        return response

    @staticmethod
    def _refused(call: Call, error: Exception) -> web.Response:
        """Return what upstream's exception filters make of an error."""
        if isinstance(error, RecordMissing):
            error = errors.record_missing()
        elif isinstance(error, UniqueViolation):
            error = errors.already_exists()
        if isinstance(error, errors.Refusal):
            call.entry.code = error.code
            return errors.render(error, call.request.path_qs, str(uuid.uuid4()))
        if not isinstance(error, errors.Crash):
            _log.error("the sandbox failed on %s %s", call.entry.method, call.entry.path, exc_info=error)
        return errors.json_answer(500, errors.NEST_500)

    def _admit(self, call: Call) -> None:
        if call.entry.route == "unknown":
            return
        verdict = self._throttle.admit(call.request.headers, call.request.remote or "unknown")
        call.headers = verdict.headers
        if verdict.blocked:
            raise errors.rate_limited()

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


def _rendered(answer: Answer) -> web.Response:
    if answer.location is not None:
        return web.Response(status=answer.status, headers={"Location": answer.location})
    return errors.json_answer(answer.status, answer.body)


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
