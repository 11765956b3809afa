"""The service's process: opens the doors on a running broker, and closes them before the broker ends.

SIGTERM: unready, stop accepting, let requests and flights end, then close the pools.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

from service.api.doors import ClientDoor, Doors
from service.api.serve import INTERNAL, OBSERVE, PUBLIC, Address, bind, open_doors
from service.broker.flights import TimeLeft
from service.readiness import Readiness
from service.settings import ConfigurationError, Problem
from service.wiring import Broker, open_broker

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Settings


async def serve(settings: Settings, telemetry: Telemetry, stop: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until `stop` is set. Raises ConfigurationError for a taken port."""
    stop = stop or on_signals()
    refuse_what_is_not_there(settings)
    sockets = bind_all(settings)
    async with open_broker(settings, telemetry) as broker:
        readiness = Readiness(
            {"postgres": broker.database.ping, "redis": broker.redis.ping},
            behind=lambda: broker.database.behind,
        )
        drain_s = settings.drain.total_seconds()
        doors = doors_of(settings, broker, readiness, telemetry)
        listeners = await open_doors(doors, sockets, drain_s=drain_s)
        where = {name: f"{at.host}:{at.port}" for name, at in listeners.open.items()}
        telemetry.note("service.started", None, **where)
        await stop.wait()
        readiness.draining = True
        left_s = TimeLeft(drain_s)
        left = await listeners.close()
        left += await broker.drain(left_s())
        telemetry.note("service.stopped", unfinished=left)


def refuse_what_is_not_there(settings: Settings) -> None:
    """Refuse settings of later releases: to ignore one would leave a door open that it was to close."""
    asked = {
        "TOKEN_BROKER_SESSION_CHECK_URL": settings.session_check_url is not None,
        "TOKEN_BROKER_ASSERTION_JWKS": settings.assertion_jwks is not None,
        "TOKEN_BROKER_WORKERS": settings.workers > 1,
    }
    what = "is not supported by this release yet; leave it out"
    problems = [Problem(name, what) for name, wanted in asked.items() if wanted]
    if problems:
        raise ConfigurationError(problems)


def doors_of(settings: Settings, broker: Broker, readiness: Readiness, telemetry: Telemetry) -> Doors:
    """Return what the doors need, out of the settings and a running broker."""
    failures = settings.address_failures

    def enter_request(request_id: str) -> None:
        telemetry.enter_request(request_id)
        broker.redis.begin_request()

    return Doors(
        answers=broker.answers,
        users=broker.users,
        observer=telemetry,
        readiness=readiness,
        render_metrics=telemetry.metrics.render,
        clients=[
            ClientDoor(client.name, frozenset(client.origins), len(client.id) + 1)
            for client in settings.clients
        ],
        api_keys=lambda: settings.api_keys.value,
        public_path=settings.public_path,
        allowed_origins=frozenset(settings.allowed_origins),
        trusted_proxies=settings.trusted_proxies,
        address_failures_per_minute=failures.per_second * 60 if failures else 0,
        answer_timeout_s=settings.answer_timeout.total_seconds(),
        public_answer_timeout_s=settings.public_answer_timeout.total_seconds(),
        enter_request=enter_request,
    )


def bind_all(settings: Settings) -> dict[str, socket.socket]:
    """Bind the three listeners' addresses, all of them before any answers."""
    return {
        PUBLIC: bind_address("TOKEN_BROKER_PUBLIC_ADDRESS", settings.public_address),
        INTERNAL: bind_address("TOKEN_BROKER_INTERNAL_ADDRESS", settings.internal_address),
        OBSERVE: bind_address("TOKEN_BROKER_OBSERVE_ADDRESS", settings.observe_address),
    }


def bind_address(name: str, address: Address) -> socket.socket:
    """Bind the address of a setting; raises ConfigurationError when it cannot be listened on."""
    try:
        return bind(address)
    except OSError as error:
        what = (
            f"{address.host}:{address.port} cannot be listened on: {error.strerror or type(error).__name__}"
        )
        raise ConfigurationError([Problem(name, what, "127.0.0.1:18080")]) from None


def on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
