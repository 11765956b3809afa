"""Gates: named points of a route where a test holds calls, waits for their arrival and lets them go.

Points are `before` (nothing was looked at), `read` (refresh and create: after the look-up, before the
write), `row` and `linked` (create: between its writes) and `after` (committed, not answered).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

from sandbox.calcom.tally import Tally

POINTS = ("before", "read", "row", "linked", "after")


class Gate:
    """Holds every matching call until it is let go; once opened it is taken down and counts no more."""

    def __init__(self, gate_id: int, route: str, point: str, client: str | None, user: int | None) -> None:
        self.id = gate_id
        self.route = route
        self.point = point
        self.client = client
        self.user = user
        self.is_open = False
        self._held: deque[asyncio.Future[None]] = deque()
        self._arrivals = Tally()

    @property
    def arrivals(self) -> int:
        """How many calls have come to the gate in all."""
        return self._arrivals.value

    @property
    def held(self) -> int:
        """How many calls wait at the gate now."""
        return sum(not call.done() for call in self._held)

    @property
    def shown(self) -> dict[str, object]:
        """Return where the gate stands and what has come to it."""
        names = ("id", "route", "point", "client", "user", "arrivals", "held", "is_open")
        return {name: getattr(self, name) for name in names}

    def matches(self, route: str, point: str, client: str | None, user: int | None) -> bool:
        """Whether a call at this point has to stop here."""
        return (
            self.point == point
            and self.route in {route, "*"}
            and self.client in {client, None}
            and self.user in {user, None}
        )

    async def hold(self) -> None:
        """Stop a call here until it is let go."""
        self._arrivals.add()
        if self.is_open:
            return
        call = asyncio.get_running_loop().create_future()
        self._held.append(call)
        await call

    async def arrived(self, count: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until `count` calls in all have come to the gate; raises TimeoutError."""
        await self._arrivals.reached(count, timeout_s)

    def release(self, count: int | None = None) -> int:
        """Let the `count` oldest held calls go (None: all); later ones are held again. Returns how many."""
        released = 0
        while self._held and (count is None or released < count):
            call = self._held.popleft()
            if not call.done():
                call.set_result(None)
                released += 1
        return released

    def open(self) -> int:
        """Let every held call go and hold none from now on; returns how many were held."""
        self.is_open = True
        return self.release()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()


class Gates:
    """The gates that stand now, and every other wait that ends when the sandbox shuts."""

    def __init__(self) -> None:
        self._gates: dict[int, Gate] = {}
        self._last_id = 0
        self._shut = asyncio.Event()

    def add(self, route: str, point: str, client: str | None = None, user: int | None = None) -> Gate:
        """Set up a gate; raises ValueError on an unknown point."""
        if point not in POINTS:
            raise ValueError(f"unknown gate point {point!r}; known are {', '.join(POINTS)}")
        self._last_id += 1
        gate = self._gates[self._last_id] = Gate(self._last_id, route, point, client, user)
        return gate

    async def reach(self, route: str, point: str, client: str | None, user: int | None) -> None:
        """Hold the calling request at every gate that matches."""
        for gate in list(self._gates.values()):
            if gate.is_open:
                self._gates.pop(gate.id, None)
            elif gate.matches(route, point, client, user):
                await gate.hold()

    def get(self, gate_id: int) -> Gate | None:
        """Return the gate of this id."""
        return self._gates.get(gate_id)

    def remove(self, gate: Gate) -> None:
        """Open the gate and take it down."""
        gate.open()
        self._gates.pop(gate.id, None)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the sandbox shuts."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shut.wait(), seconds)

    def shut(self) -> None:
        """End every pause, open every gate and take it down."""
        self._shut.set()
        for gate in list(self._gates.values()):
            self.remove(gate)

    def __bool__(self) -> bool:
        return bool(self._gates)

    def __iter__(self) -> Iterator[Gate]:
        return iter(list(self._gates.values()))
