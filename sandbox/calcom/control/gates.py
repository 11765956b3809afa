"""Doors to the gates: set up, wait for arrivals, release, open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from sandbox.calcom.control.wire import Wrong, answer, door, number, read

if TYPE_CHECKING:
    from sandbox.calcom.gates import Gate
    from sandbox.calcom.sandbox import Sandbox

WAIT_S = 10


@with_config(ConfigDict(extra="forbid", strict=True))
class _NewGate(TypedDict, total=False):
    route: str
    point: str
    client: str
    user: int


@with_config(ConfigDict(extra="forbid", strict=True))
class _Release(TypedDict, total=False):
    count: int


_NEW_GATE = TypeAdapter(_NewGate)
_RELEASE = TypeAdapter(_Release)


class GateDoors:
    """What a separate process needs to stage a race."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        """Return the doors."""
        return [
            web.get("/_sandbox/gates", door(self._list)),
            web.post("/_sandbox/gates", door(self._add)),
            web.get("/_sandbox/gates/{gate}", door(self._wait)),
            web.delete("/_sandbox/gates/{gate}", door(self._open)),
            web.post("/_sandbox/gates/{gate}/release", door(self._release)),
        ]

    def _gate(self, request: web.Request) -> Gate:
        gate = self._sandbox.pipeline.gates.get(number(request, "gate", 0))
        if gate is None:
            raise Wrong(f"there is no gate {request.match_info['gate']}", 404)
        return gate

    async def _list(self, _: web.Request) -> web.StreamResponse:
        return answer({"gates": [gate.shown for gate in self._sandbox.pipeline.gates]})

    async def _add(self, request: web.Request) -> web.StreamResponse:
        wanted = await read(request, _NEW_GATE)
        if "route" not in wanted:
            raise Wrong("route: name the route whose calls shall be held")
        return answer(self._sandbox.gate(**wanted).shown, 201)

    async def _wait(self, request: web.Request) -> web.StreamResponse:
        """Answer once so many calls have come; 408 when they have not in time."""
        gate = self._gate(request)
        try:
            await gate.arrived(number(request, "arrived", 0), number(request, "timeout_s", WAIT_S))
        except TimeoutError:
            return answer(gate.shown, 408)
        return answer(gate.shown)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        gate = self._gate(request)
        self._sandbox.pipeline.gates.remove(gate)
        return answer(gate.shown)

    async def _release(self, request: web.Request) -> web.StreamResponse:
        released = self._gate(request).release((await read(request, _RELEASE)).get("count"))
        return answer({"released": released})
