"""The observing listener of a process that has no other: probes and figures of the worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.api.serve import open_observation
from service.listening import bind_address
from service.readiness import Readiness, readiness_of

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Settings
    from service.wired import Broker


@asynccontextmanager
async def watched(settings: Settings, telemetry: Telemetry, broker: Broker) -> AsyncIterator[Readiness]:
    """Answer probes and scrapes while the block runs. Raises ConfigurationError for a taken port."""
    sock = bind_address("TOKEN_BROKER_OBSERVE_ADDRESS", settings.observe_address)
    readiness = readiness_of(broker)
    listener = await open_observation(readiness, telemetry.metrics.render, telemetry, sock)
    telemetry.note("worker.started", observe=f"{listener.host}:{listener.port}")
    try:
        yield readiness
    finally:
        await listener.close()
