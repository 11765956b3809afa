"""Answers a plain request from a cache: who asks, what may be given, and what is noted, as on the long way.

Every check is the long way's own, asked in the same order. A check that fails is no answer here: the long
way fails alike, and says so.
"""

from __future__ import annotations

import re
import time
from asyncio import Future
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from service.api.answer import Answer
from service.api.auditing import DONE, EXCHANGED
from service.api.bearer import may_be_token, parse_bearer
from service.api.cors import require_fetch
from service.api.frame import request_id_of
from service.api.internal import TOKEN_ROUTE
from service.api.limits import one_caller
from service.api.operations import TOKEN
from service.api.routes import Call
from service.api.views import fresh_token, service_token
from service.broker.asking import begin
from service.broker.errors import BrokerError
from service.broker.model import CurrentToken
from service.broker.ports import CacheHit

if TYPE_CHECKING:
    from aiohttp import web

    from service.api.admission import Admission
    from service.api.doors import Doors
    from service.api.express.plain import PlainRequest
    from service.api.frame import Frame
    from service.api.internal import InternalDoor
    from service.api.public import PublicDoor
    from service.api.usecases import AtHand, Look
    from service.broker.asking import Asking

Given = Callable[[CacheHit], CurrentToken | None]


@dataclass(slots=True)
class Begun:
    """A request that has passed every check there is before its user is known."""

    call: Call
    started: float
    asking: Asking
    exchange: str
    given: Given
    write: Callable[[CurrentToken], bytes]
    looked_at: bool
    """Whether something may be told of it besides that it was answered."""


@dataclass(slots=True)
class Pending:
    """A request whose user the cache was asked for; `finish` returns its answer, or None."""

    look: Future[CacheHit | None]
    finish: Callable[[CacheHit | None], bytes | None]


class Express:
    """Answers at one listener; returns the bytes of an answer, what is waited for, or None: the long way.

    `begin` makes the checks of a door and returns what to look for, and what is done with it.
    """

    def __init__(
        self,
        doors: Doors,
        frame: Frame,
        begin: Callable[[PlainRequest], tuple[Look, Begun] | None],
        at_hand: AtHand,
    ) -> None:
        self._frame = frame
        self._begin = begin
        self._at_hand = at_hand
        self._readiness = doors.readiness
        self._audit = doors.audit
        self._enter_request = doors.enter_request

    def __call__(self, request: PlainRequest) -> bytes | Pending | None:
        """Never raises: what goes wrong here must not cost an answer."""
        if self._readiness.draining or request.method != "GET":
            return None
        try:
            return self._answer(request)
        except BrokerError:
            return None
        except Exception as error:  # noqa: BLE001 - the long way may do better, or says what is wrong
            self._frame.failed(error)
            return None

    def _answer(self, request: PlainRequest) -> bytes | Pending | None:
        begun = self._begin(request)
        if begun is None:
            return None
        look, exchange = begun
        hit = self._at_hand.near(look)
        if hit is None:
            return Pending(self._at_hand.ask(look), partial(self._finish, exchange))
        return self._in_its_context(exchange, hit)

    def _finish(self, begun: Begun, hit: CacheHit | None) -> bytes | None:
        if hit is None or self._readiness.draining:
            return None  # an answer that ends its connection is the long way's
        try:
            return self._in_its_context(begun, hit)
        except BrokerError:
            return None
        except Exception as error:  # noqa: BLE001 - as above
            self._frame.failed(error)
            return None

    def _in_its_context(self, begun: Begun, hit: CacheHit) -> bytes | None:
        # What is noted of this request must not be taken for the next one's of the same connection.
        return copy_context().run(self._enter, begun, hit) if begun.looked_at else self._give(begun, hit)

    def _enter(self, begun: Begun, hit: CacheHit) -> bytes | None:
        self._enter_request(begun.call.request_id)
        begin(begun.asking)
        return self._give(begun, hit)

    def _give(self, begun: Begun, hit: CacheHit) -> bytes | None:
        call, asking = begun.call, begun.asking
        current = begun.given(hit)
        if current is None:
            return None
        call.key = asking.key = current.key
        asking.generation = current.generation
        reply = self._frame.reply(call, Answer(200, begun.write(current)), begun.started, hit.source)
        self._audit.exchanged(asking, begun.exchange, DONE)
        return reply.wire


def for_browsers(doors: Doors, door: PublicDoor, frame: Frame, at_hand: AtHand) -> Express | None:
    """Return the short way of the public listener; None where the app is asked who is signed in."""
    if door.binds_sessions:
        return None
    return Express(doors, frame, partial(_begin_refresh, door, at_hand), at_hand)


def _begin_refresh(door: PublicDoor, at_hand: AtHand, request: PlainRequest) -> tuple[Look, Begun] | None:
    if request.raw_path != door.path:
        return None
    started, asked = time.perf_counter(), cast("web.BaseRequest", request)
    call = Call(asked, route=door.path, request_id=request_id_of(asked))
    door.origins.admit(call)
    require_fetch(call)
    token = parse_bearer(request.headers, "")
    fingerprint = at_hand.fingerprint(token) if may_be_token(token) else None
    if fingerprint is None:
        return None
    asking = door.auditing.who(call)
    asking.fingerprint = fingerprint
    given = partial(_to_browser, door, at_hand, call, asking)
    return fingerprint, Begun(call, started, asking, EXCHANGED, given, fresh_token, looked_at=True)


def _to_browser(
    door: PublicDoor, at_hand: AtHand, call: Call, asking: Asking, hit: CacheHit
) -> CurrentToken | None:
    door.origins.admit_to(hit.current.key.client, call)
    asking.presented = hit.presented.generation
    return at_hand.for_browser(hit, one_caller(asking.address))


_TOKEN_OF = re.compile(r"/v1/users/([^/?]+)/token")


def for_services(doors: Doors, door: InternalDoor, frame: Frame, at_hand: AtHand) -> Express:
    """Return the short way of the internal listener."""
    return Express(doors, frame, partial(_begin_token, door.admission, at_hand), at_hand)


def _begin_token(admission: Admission, at_hand: AtHand, request: PlainRequest) -> tuple[Look, Begun] | None:
    path = _TOKEN_OF.fullmatch(request.raw_path)
    if path is None:
        return None
    started, asked = time.perf_counter(), cast("web.BaseRequest", request)
    call = Call(asked, route=TOKEN_ROUTE, raw_id=path[1], request_id=request_id_of(asked))
    caller = admission.callers.by_same_key(asked, request.headers.memo)
    if caller is None:
        return None
    call.key = admission.user_of(call, caller, TOKEN)
    asking = admission.auditing.who(call, caller.name)
    given = partial(at_hand.for_service, vouch="vouch" in caller.scopes)
    return call.key, Begun(call, started, asking, TOKEN.exchange, given, service_token, looked_at=False)
