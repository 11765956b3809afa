"""Answers a plain request from a cache: what may be given, and what is noted of it, as on the long way.

A check that fails is no answer here: the long way fails alike, and says so.
"""

from __future__ import annotations

import time
from asyncio import get_running_loop
from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from service.api.answer import written
from service.broker.asking import Asking
from service.broker.behind import Given
from service.broker.errors import BrokerError
from service.broker.model import CurrentToken, LineageEntry
from service.broker.ports import CacheHit

if TYPE_CHECKING:
    from service.api.doors import Doors
    from service.api.express.plain import PlainRequest
    from service.api.frame import Frame
    from service.api.usecases import AtHand, Look
    from service.broker.ports import Found


class Visit:
    """A request that has passed every check there is before its user is known; `look` is what to look for.

    `address` is where the caller is, as it is counted, and `vouch` whether it speaks for the user. `in_vain`
    is one for whom what is near was not to be given, and `followed` one that has waited for another.
    """

    __slots__ = ("address", "asking", "entry", "followed", "in_vain", "look", "sharing", "started", "vouch")

    def __init__(
        self, look: Look, asking: Asking, sharing: bytes, address: Hashable = None, *, vouch: bool = False
    ) -> None:
        self.look = look
        self.asking = asking
        self.sharing = sharing
        self.address = address
        self.vouch = vouch
        self.entry: LineageEntry | None = None
        self.started = 0.0
        self.in_vain = False
        self.followed = False


class Desk(Protocol):
    """What is special to the requests of one listener."""

    route: str
    exchange: str
    """The event that the audit keeps."""

    def look(self, request: PlainRequest) -> Visit | None:
        """Make a door's checks; None is the long way."""

    def give(self, visit: Visit, hit: CacheHit, now: datetime) -> CurrentToken | None:
        """Return the token to answer with; None is the long way. Notes in the visit what was presented."""

    def write(self, current: CurrentToken) -> bytes:
        """Return the answer's body."""


class Express:
    """Answers at one listener: the bytes of an answer, a visit to ask a cache for, or None, the long way.

    Never raises: what goes wrong here must not cost an answer, and the long way may do better.
    """

    def __init__(self, doors: Doors, frame: Frame, desk: Desk, at_hand: AtHand) -> None:
        self._frame = frame
        self._desk = desk
        self._at_hand = at_hand
        self._readiness = doors.readiness
        self._count = doors.tally(desk.route)

    def __call__(self, request: PlainRequest) -> bytes | Visit | None:
        """Answer a request from what this process remembers."""
        if self._readiness.draining or request.method != "GET":
            return None
        started = time.perf_counter()
        try:
            visit = self._desk.look(request)
            if visit is None:
                return None
            visit.started = started
            hit = self._at_hand.near(visit.look)
            visit.in_vain = hit is not None
            return visit if hit is None else self._give(visit, hit) or visit
        except BrokerError:
            return None
        except Exception as error:  # noqa: BLE001 - as the class says
            self._frame.failed(error)
            return None

    def ask(self, visit: Visit, found: Found) -> None:
        """Ask a cache, if it may know better; `found` is called later, once."""
        if visit.in_vain:
            get_running_loop().call_soon(found, None)
        else:
            self._at_hand.ask(visit.look, found)

    def follow(self, visit: Visit, found: Found) -> bool:
        """Wait for who is on the long way for the same, if anybody is; nobody waits twice."""
        if visit.followed:
            return False
        visit.followed = True
        return self._at_hand.follow(visit.look, found)

    def finish(self, visit: Visit, hit: CacheHit | None) -> bytes | None:
        """Answer with what was found."""
        if hit is None or self._readiness.draining:
            return None  # an answer that ends its connection is the long way's
        try:
            return self._give(visit, hit)
        except BrokerError:
            return None
        except Exception as error:  # noqa: BLE001 - as the class says
            self._frame.failed(error)
            return None

    def _give(self, visit: Visit, hit: CacheHit) -> bytes | None:
        now = self._at_hand.clock()
        current = self._desk.give(visit, hit, now)
        if current is None:
            return None
        asking = visit.asking
        asking.key, asking.generation = current.key, current.generation
        wire = written(self._desk.write(current), asking.request_id, visit.sharing)
        if self._count is not None:
            self._count(hit.source, time.perf_counter() - visit.started)
        else:
            self._frame.done(
                current.key, self._desk.route, "GET", 200, visit.started, asking.request_id, hit.source
            )
        self._at_hand.note(Given(current, visit.entry, asking, visit.address, self._desk.exchange, now))
        return wire
