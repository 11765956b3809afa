"""Opens and closes the listeners: public, internal, observing, each on an address of its own.

A listener knows its own routes only, so none answers for another. Closing lets what was begun end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from service.api.docs import docs_page, document_file
from service.api.doors import Doors, ignore_id
from service.api.express.connection import ExpressConnection, fits
from service.api.express.desks import for_browsers, for_services
from service.api.express.hits import Express
from service.api.frame import Frame, open_to_all
from service.api.internal import InternalDoor
from service.api.observe import OPERATIONS, ObserveDoor, healthz
from service.api.openapi import describe
from service.api.overview import OverviewDoor
from service.api.page import page_routes
from service.api.protocol import Connection, Make, Server
from service.api.public import PublicDoor
from service.api.rescue import Rescue
from service.api.routes import Call, Route, Router
from service.api.sites import Site, Taker
from service.api.sockets import INTERNAL, OBSERVE, PUBLIC
from service.api.traced import TracedFrame, trust_nobody
from service.api.usecases import Readiness
from service.api.waits import Waits
from service.broker.flights import TimeLeft
from service.broker.ports import Observer

OBSERVE_CLOSES_S = 1.0


@dataclass(frozen=True, slots=True)
class Ways:
    """What answers at a listener: its frame, and the short way in front of it where there is one."""

    frame: Frame
    express: Express | None = None


@dataclass(slots=True)
class Listener:
    """One open listener."""

    runner: web.ServerRunner
    rescue: Rescue
    host: str
    port: int

    @classmethod
    async def open(
        cls,
        ways: Ways,
        sock: socket.socket,
        drain_s: float,
        others: Sequence[socket.socket] = (),
        tls: ssl.SSLContext | None = None,
    ) -> Listener:
        """Serve from a socket that is already bound; `others` are those of the other processes on it."""
        server = Server(ways.frame, _connections(ways, tls))
        runner = web.ServerRunner(server, shutdown_timeout=drain_s)
        await runner.setup()
        await Site(runner, sock, tls).start()
        host, port = sock.getsockname()[:2]
        return cls(runner, Rescue(Taker(server, tls), others), host, port)

    async def close(self) -> None:
        """Stop accepting, let the requests that are under way end (for `drain_s` at most), then close."""
        await self.rescue.end()
        await self.runner.cleanup()


@dataclass(slots=True)
class Listeners:
    """The open listeners of a process, by name."""

    waits: Waits
    drain_s: float
    open: dict[str, Listener] = field(default_factory=dict)

    async def close(self) -> int:
        """Close all, the observing one last; returns how many pieces of work did not end in `drain_s`."""
        left_s = TimeLeft(self.drain_s)
        watched = self.open.pop(OBSERVE, None)
        await asyncio.gather(*(listener.close() for listener in self.open.values()))
        left = await self.waits.drain(left_s())
        if watched is not None:
            await watched.close()
        return left


async def open_doors(
    doors: Doors,
    sockets: Mapping[str, socket.socket],
    *,
    drain_s: float,
    others: Sequence[Mapping[str, socket.socket]] = (),
) -> Listeners:
    """Open the service's listeners on sockets named `public`, `internal` and `observe`.

    `others` are the sockets of the other service processes.
    """
    waits = Waits(doors.observer)
    ways = {
        PUBLIC: public_ways(doors),
        INTERNAL: internal_ways(doors, waits),
        OBSERVE: Ways(
            observe_frame(doors.readiness, doors.render_metrics, doors.observer, doors.enter_request)
        ),
    }
    listeners = Listeners(waits, drain_s)
    for name, sock in sockets.items():
        longest_s = OBSERVE_CLOSES_S if name == OBSERVE else drain_s
        listeners.open[name] = await Listener.open(
            ways[name],
            sock,
            longest_s,
            [theirs[name] for theirs in others],
            doors.internal_tls if name == INTERNAL else None,
        )
    return listeners


async def open_observation(
    readiness: Readiness, render_metrics: Callable[[], bytes], observer: Observer, sock: socket.socket
) -> Listener:
    """Open the observing listener alone, as the worker does."""
    ways = Ways(observe_frame(readiness, render_metrics, observer))
    return await Listener.open(ways, sock, OBSERVE_CLOSES_S)


def public_ways(doors: Doors) -> Ways:
    """Return the ways of the listener that browsers reach."""
    door = PublicDoor(doors)
    frame = _frame(doors, PUBLIC, door.routes(), trust_nobody, gate=door.origins.admit, empty_token=True)
    if doors.at_hand is None or doors.follow is not None:
        return Ways(frame)
    return Ways(frame, for_browsers(doors, door, frame, doors.at_hand))


def internal_ways(doors: Doors, waits: Waits) -> Ways:
    """Return the ways of the listener for the app's own services."""
    door = InternalDoor(doors, waits)
    routes = door.routes()
    if doors.overview is not None:
        routes += OverviewDoor(doors, doors.overview, waits, door.admission).routes()
    given = {"serviceAccount": doors.service_accounts, "certificate": doors.certified}
    means = ["bearer", *(name for name, callers in given.items() if callers)]
    described = _description_routes(routes, PublicDoor(doors).routes(), means)
    page = [] if doors.overview is None else page_routes()
    frame = _frame(doors, INTERNAL, [*routes, *described, *page], door.knows)
    if doors.at_hand is None or doors.follow is not None:
        return Ways(frame)
    return Ways(frame, for_services(doors, door, frame, doors.at_hand))


def _connections(ways: Ways, tls: ssl.SSLContext | None) -> Make:
    """Return what makes this listener's connections; over TLS a caller may be its certificate."""
    if ways.express is None or tls is not None or not fits():
        return Connection
    return partial(ExpressConnection, express=ways.express)


def _frame(
    doors: Doors,
    name: str,
    routes: list[Route],
    trusts: Callable[[web.BaseRequest], Awaitable[bool]],
    *,
    gate: Callable[[Call], None] = open_to_all,
    empty_token: bool = False,
) -> Frame:
    """Return a listener's frame: one that traces only where somebody follows its requests."""
    kind: Callable[..., Frame] = Frame
    if doors.follow is not None:
        kind = partial(TracedFrame, listener=name, follow=doors.follow, trusts=trusts)
    return kind(
        Router(routes),
        doors.observer,
        doors.readiness,
        enter_request=doors.enter_request,
        waited=doors.waited,
        gate=gate,
        empty_token=empty_token,
    )


def observe_frame(
    readiness: Readiness,
    render_metrics: Callable[[], bytes],
    observer: Observer,
    enter_request: Callable[[str], object] = ignore_id,
) -> Frame:
    """Return the frame of the observing listener."""
    routes = ObserveDoor(readiness, render_metrics).routes()
    return Frame(Router(routes), observer, readiness, enter_request=enter_request)


def _description_routes(internal: list[Route], public: list[Route], means: Sequence[str]) -> list[Route]:
    """Describe all three listeners on the internal one: the others answer nothing they need not."""
    observed = [Route("GET", path, healthz, operation) for path, operation in OPERATIONS.items()]
    documents = [
        describe(
            "Internal listener", "For the app's own services; each call says who calls.", internal, *means
        ),
        describe(
            "Public listener",
            "For browsers; what identifies is the access token they hold.",
            public,
            "bearer",
        ),
        describe("Observing listener", "For probes and Prometheus, of service and worker alike.", observed),
    ]
    return [
        Route("GET", "/openapi.json", document_file(documents[0])),
        Route("GET", "/openapi-public.json", document_file(documents[1])),
        Route("GET", "/openapi-observe.json", document_file(documents[2])),
        Route("GET", "/docs", docs_page(documents)),
    ]
