"""The outermost frame of every listener: whatever happens inside, a well-formed answer leaves.

Gives every request an id, every error a body, every answer its headers and every outcome one event.
The trace of an unexpected error goes to the observer as names and lines, never with its message.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import PurePath
from random import getrandbits
from traceback import extract_tb
from typing import Protocol, cast

from aiohttp import HttpVersion10, HttpVersion11, web

from service.api.answer import Answer, Reply
from service.api.errors import Internal, Malformed, NotServed, problem
from service.api.routes import Call, Router
from service.api.usecases import Readiness
from service.broker.errors import BrokerError
from service.broker.model import UserKey
from service.broker.ports import Observer

UNPARSABLE = "unparsable"
TRACE_DEPTH = 6

_VERSIONS = (HttpVersion10, HttpVersion11)
"""The parser lets 0.9 and 2.0 pass, which mean something else by the same bytes."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def ignore_wait(_: float) -> None:
    """Do nothing with how long a request has waited."""


def open_to_all(_: Call) -> None:
    """Let every request in: the gate of listeners that no browser reaches."""


class Waited(Protocol):
    """A connection that may have tried the short way first."""

    def take_wait(self) -> tuple[float, float]:
        """Return once how long the request that is handed on has waited before that, and for a cache."""


class Frame:
    """Answers the requests of one listener.

    `gate` may refuse a request before it is routed, and says in the call which headers its answer
    needs. `enter_request` is called with the request's id in the request's own context, and `waited` there
    with the seconds it has been waiting, if it was looked for in a cache before it came here.
    """

    def __init__(
        self,
        router: Router,
        observer: Observer,
        readiness: Readiness,
        *,
        enter_request: Callable[[str], object],
        waited: Callable[[float], object] = ignore_wait,
        gate: Callable[[Call], None] = open_to_all,
        empty_token: bool = False,
    ) -> None:
        self._router = router
        self._observer = observer
        self._readiness = readiness
        self._enter_request = enter_request
        self._waited = waited
        self._gate = gate
        self._empty_token = empty_token

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the request."""
        started = time.perf_counter()
        request_id = given_id(request.headers) or new_id()
        self._enter_request(request_id)
        waited_s, for_cache_s = cast("Waited", request.protocol).take_wait()
        started -= waited_s
        if for_cache_s:
            self._waited(for_cache_s)
        call = Call(request, request_id=request_id)
        try:
            answer = await self._answer(call)
        except BrokerError as error:
            answer = self.problem(error)
        except Exception as error:  # noqa: BLE001 - the last resort: an answer must leave
            answer = self.failed(error)
        reply = self._reply(call, answer, started)
        # Reply has what aiohttp's protocol uses of a response; its annotations ask for the class.
        return cast("web.StreamResponse", reply)

    def _reply(self, call: Call, answer: Answer, started: float) -> Reply:
        """Make the answer ready for its request, and note that it is done."""
        headers = b"X-Request-Id: %s\r\n%s" % (call.request_id.encode("ascii"), call.sharing)
        reply = Reply(answer, call.request, headers, close=self._readiness.draining)
        self.done(call.key, call.route, call.request.method, answer.status, started, call.request_id)
        return reply

    def done(
        self,
        key: UserKey | None,
        route: str,
        method: str,
        status: int,
        started: float,
        request_id: str,
        source: str | None = None,
    ) -> None:
        """Note that a request is done.

        `started` is of perf_counter; `source` is where the token came from, if nobody has noted that yet.
        """
        self._observer.note(
            "request.done",
            key,
            route=route,
            method=method,
            status=status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
            source=source,
        )

    async def _answer(self, call: Call) -> Answer:
        path, _, call.query = call.request.raw_path.partition("?")
        if not path.startswith("/") or call.request.version not in _VERSIONS:
            # A target that names a host would let the caller choose which host this claims to be.
            raise NotServed
        self._gate(call)
        handler = self._router.find(call, path)
        return await handler(call)

    def problem(self, error: BrokerError) -> Answer:
        """Return the answer to an expected error."""
        return problem(error, empty_token=self._empty_token)

    def failed(self, error: BaseException) -> Answer:
        """Note where an unexpected error came from, and return the answer that says nothing of it."""
        self._observer.note("request.failed", error=type(error).__name__, at=_places(error))
        return self.problem(Internal())

    def unparsable(self, request: web.BaseRequest, error: BaseException | None) -> Reply:
        """Return the constant answer to what was no HTTP, and count it without a word of it."""
        answer = self.problem(Malformed("The request is not well-formed HTTP, or a part of it is too long."))
        self._observer.note(
            "request.done",
            route=UNPARSABLE,
            status=answer.status,
            seconds=0.0,
            request_id=new_id(),
            reason=type(error).__name__,
        )
        return Reply(answer, request, b"", close=True)


class Headers(Protocol):
    """The part of a header collection that is needed here."""

    def get(self, name: str, /) -> str | None:
        """Return a header's value."""


def given_id(headers: Headers) -> str | None:
    """Return the id that the caller gave its request, if it is one."""
    given = headers.get("X-Request-Id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def new_id() -> str:
    """Return an id for a request without one."""
    # It tells requests apart and guards nothing; the system's own randomness costs five times as much.
    return f"{getrandbits(64):016x}"


def _places(error: BaseException) -> str:
    """Return the innermost places of a trace; code only, so that no value is among them."""
    frames = reversed(extract_tb(error.__traceback__)[-TRACE_DEPTH:])
    return " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)
