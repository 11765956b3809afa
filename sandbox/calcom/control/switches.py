"""Doors to faults, settings, the clock and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Required, cast

from aiohttp import web
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from sandbox.calcom.control.wire import answer, door, number, read
from sandbox.calcom.faults import FaultOptions

if TYPE_CHECKING:
    from sandbox.calcom.sandbox import Sandbox

JOURNAL_PAGE = 1000
STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(STRICT)
class _Settings(TypedDict, total=False):
    throttle: bool
    redis_warm: bool
    advance_s: float


@with_config(STRICT)
class _NewFault(FaultOptions, total=False):
    kind: Required[str]
    route: str


_SETTINGS = TypeAdapter(_Settings)
_NEW_FAULT = TypeAdapter(_NewFault)


class SwitchDoors:
    """What can be switched and read as a whole."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        """Return the doors."""
        return [
            web.get("/_sandbox", door(self._summary)),
            web.patch("/_sandbox", door(self._change_settings)),
            web.get("/_sandbox/faults", door(self._list_faults)),
            web.post("/_sandbox/faults", door(self._add_fault)),
            web.delete("/_sandbox/faults", door(self._clear_faults)),
            web.get("/_sandbox/journal", door(self._journal)),
        ]

    async def _summary(self, _: web.Request) -> web.StreamResponse:
        sandbox = self._sandbox
        return answer(
            {
                "clients": list(sandbox.state.clients),
                "counts": sandbox.counts(),
                "faults": [fault.shown for fault in sandbox.pipeline.faults],
                "gates": [gate.shown for gate in sandbox.pipeline.gates],
                "throttle": sandbox.throttle.on,
                "redis_warm": sandbox.state.redis_warm,
                "now_ms": sandbox.state.now_ms(),
            }
        )

    async def _change_settings(self, request: web.Request) -> web.StreamResponse:
        wanted = await read(request, _SETTINGS)
        if "throttle" in wanted:
            self._sandbox.throttling(on=wanted["throttle"])
        if "redis_warm" in wanted:
            self._sandbox.state.redis_warm = wanted["redis_warm"]
        self._sandbox.advance(wanted.get("advance_s", 0.0))
        return await self._summary(request)

    async def _list_faults(self, _: web.Request) -> web.StreamResponse:
        return answer({"faults": [fault.shown for fault in self._sandbox.pipeline.faults]})

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        wanted = await read(request, _NEW_FAULT)
        options = {name: value for name, value in wanted.items() if name not in {"kind", "route"}}
        route = wanted.get("route", "*")
        fault = self._sandbox.fault(wanted["kind"], route, **cast("FaultOptions", options))
        return answer(fault.shown, 201)

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        fault_id = number(request, "id", 0) or None
        cleared = self._sandbox.clear_faults(
            fault_id=fault_id, kind=query.get("kind"), route=query.get("route"), client=query.get("client")
        )
        return answer({"cleared": cleared})

    async def _journal(self, request: web.Request) -> web.StreamResponse:
        limit = number(request, "limit", JOURNAL_PAGE)
        return answer({"entries": self._sandbox.journal.tail(limit, after=number(request, "after", 0))})
