"""The service's process: opens the doors on a running broker, and closes them before the broker ends.

SIGTERM: unready, stop accepting, let requests and flights end, then close the pools.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from service.api.doors import ClientDoor, Doors
from service.api.serve import open_doors
from service.api.session import NO_WITNESSES, Witnesses
from service.broker.flights import TimeLeft
from service.callers import NO_MEANS, Means, open_means, require_usable
from service.listening import Sockets, bind_all
from service.readiness import Readiness, readiness_of
from service.sessions import announce, open_witnesses, require_usable_keys
from service.wired import Broker
from service.wiring import open_broker

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Settings


async def serve(settings: Settings, telemetry: Telemetry, stop: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until `stop` is set. Raises ConfigurationError for a taken port."""
    stop = stop or on_signals()
    require_usable_keys(settings)
    require_usable(settings)
    sockets = bind_all(settings)
    announce(settings, telemetry)
    await serve_from(sockets, settings, telemetry, stop)


async def serve_from(
    sockets: Sockets,
    settings: Settings,
    telemetry: Telemetry,
    stop: asyncio.Event,
    *,
    others: Sequence[Sockets] = (),
    up: Callable[[], None] = lambda: None,
    shared: str | None = None,
) -> None:
    """Serve from these sockets until `stop` is set; `up` is called once requests are answered.

    `others` are the sockets of the other service processes, if there are any, and `shared` their folder.
    """
    whose = "process" if others else "service"
    async with (
        open_broker(settings, telemetry, telemetry.tracing) as broker,
        open_witnesses(settings, telemetry) as witnesses,
        open_means(settings, telemetry) as means,
    ):
        readiness = readiness_of(broker, shared)
        drain_s = settings.drain.total_seconds()
        doors = doors_of(settings, broker, readiness, telemetry, witnesses, means)
        listeners = await open_doors(doors, sockets, drain_s=drain_s, others=others)
        where = {name: f"{at.host}:{at.port}" for name, at in listeners.open.items()}
        telemetry.note(f"{whose}.started", None, **where)
        up()
        await stop.wait()
        readiness.draining = True
        left_s = TimeLeft(drain_s)
        left = await listeners.close()
        left += await broker.drain(left_s())
        telemetry.note(f"{whose}.stopped", unfinished=left)


def doors_of(
    settings: Settings,
    broker: Broker,
    readiness: Readiness,
    telemetry: Telemetry,
    witnesses: Witnesses = NO_WITNESSES,
    means: Means = NO_MEANS,
) -> Doors:
    """Return what the doors need, out of the settings and a running broker."""
    failures = settings.address_failures

    def enter_request(request_id: str) -> None:
        telemetry.enter_request(request_id)
        broker.redis.begin_request()

    return Doors(
        answers=broker.answers,
        users=broker.users,
        observer=broker.audit.hearing(telemetry),
        readiness=readiness,
        render_metrics=telemetry.metrics.render,
        clients=[
            ClientDoor(client.name, frozenset(client.origins), len(client.id) + 1)
            for client in settings.clients
        ],
        api_keys=lambda: settings.api_keys.value,
        service_accounts=settings.service_accounts,
        tokens=means.tokens,
        certified=settings.caller_certificates,
        internal_tls=means.tls.context if means.tls is not None else None,
        client_secrets=lambda: _digests(settings),
        public_path=settings.public_path,
        allowed_origins=frozenset(settings.allowed_origins),
        trusted_proxies=settings.trusted_proxies,
        address_failures_per_minute=failures.per_second * 60 if failures else 0,
        answer_timeout_s=settings.answer_timeout.total_seconds(),
        public_answer_timeout_s=settings.public_answer_timeout.total_seconds(),
        enter_request=enter_request,
        waited=broker.redis.spend,
        follow=telemetry.tracing.request if telemetry.tracing is not None else None,
        witnesses=witnesses,
        audit=broker.audit,
        at_hand=broker.at_hand,
        tally=telemetry.tally,
        overview=broker.overview,
    )


def _digests(settings: Settings) -> list[bytes]:
    """Return the SHA-256 of every client's secrets as they are now."""
    secrets = [secret for client in settings.clients for secret in client.secret.value]
    return [hashlib.sha256(secret.encode()).digest() for secret in secrets]


def on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
