"""Routes and what a handler is given: exact paths over the raw request target, nothing decoded.

A path matches as it was sent or not at all, so no escape, dot segment or suffix reaches a handler by a
second spelling. Knows neither the broker nor aiohttp's own router.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from service.api.answer import Answer
from service.api.errors import MethodRefused, RouteUnknown
from service.api.queries import Query
from service.broker.model import UserKey

UNMATCHED = "unmatched"
ID = "{id}"
ID_SEGMENT = 3


@dataclass(slots=True)
class Call:
    """One request on its way: the handler leaves in `key` whom it was about, for the log."""

    request: web.BaseRequest
    route: str = UNMATCHED
    raw_id: str = ""
    query: str = ""
    origin: str | None = None
    sharing: bytes = b""
    key: UserKey | None = None
    request_id: str = ""


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What the interface's description says of a route, and what admits a caller to it.

    `scopes`: a caller needs one of them. `body`: one of these models fits it. `errors`: the codes that
    are special to this route. `exchange` is the event that asking for a token is kept as, `act`
    names an order, which is kept also when it is not carried out.
    """

    summary: str
    answers: Mapping[int, tuple[str, type[BaseModel] | None]]
    scopes: tuple[str, ...] = ()
    query: type[Query] = Query
    body: tuple[type[BaseModel], ...] = ()
    body_optional: bool = False
    errors: tuple[str, ...] = ()
    media_type: str = "application/json"
    anonymous: bool = False
    exchange: str = ""
    act: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template; `{id}` stands for one whole segment."""

    method: str
    path: str
    handle: Handler
    operation: Operation | None = None


@dataclass(slots=True)
class _Place:
    template: str
    methods: dict[str, Handler] = field(default_factory=dict)


class Router:
    """Finds the handler of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._places: dict[str, _Place] = {}
        for route in self.routes:
            self._places.setdefault(route.path, _Place(route.path)).methods[route.method] = route.handle

    def find(self, call: Call, path: str) -> Handler:
        """Return the handler, and note in the call which route it is; RouteUnknown, MethodRefused."""
        place = self._places.get(path) or self._templated(call, path)
        call.route = place.template
        handler = place.methods.get(call.request.method)
        if handler is None:
            raise MethodRefused(", ".join(place.methods))
        return handler

    def _templated(self, call: Call, path: str) -> _Place:
        """Find a path with an id; every template that has one has it in the same place."""
        segments = path.split("/")
        if len(segments) > ID_SEGMENT:
            call.raw_id, segments[ID_SEGMENT] = segments[ID_SEGMENT], ID
        place = self._places.get("/".join(segments))
        if place is None or not call.raw_id or call.raw_id == ID:
            raise RouteUnknown
        return place
