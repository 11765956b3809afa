"""What runs beside the requests of a process, again and again, for as long as its broker is open."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from service.adapters.postgres.notices import PostgresNotices
from service.broker.background import every
from service.broker.errors import BrokerError
from service.broker.flights import end_task
from service.broker.told import ToldCircuits
from service.logs import keep_secret

if TYPE_CHECKING:
    from service.broker.ports import Observer
    from service.settings import Settings
    from service.wired import Broker

_FLUSH_EVERY_S = 0.5
_AUDIT_EVERY_S = 0.25
_CIRCUITS_EVERY_S = 1.0
_MEASURE_EVERY_S = 30.0
_RECHECK_EVERY_S = 2.0
_LOOK_EVERY_S = 2.0


async def keep_going(settings: Settings, broker: Broker, observer: Observer, stack: AsyncExitStack) -> None:
    """Start what runs beside the requests: the clock's measure, uses written behind, secret files."""

    async def recheck() -> None:
        def complain(name: str, reason: str) -> None:
            observer.note("secret.kept", name=name, reason=reason)

        for name in settings.recheck_secrets(complain):
            keep_secret(settings.sensitive_texts())
            observer.note("secret.replaced", name=name)

    async def look_after() -> None:
        # A quiet process would not notice otherwise that what was down, or refused, is well again.
        for dependency in (broker.redis, broker.database):
            if not dependency.well:
                await dependency.ping()
        for client in broker.clients:
            await broker.circuits.allows(client)
        await broker.overview.tell_circuits(broker.clients)
        if not broker.clock.measured:
            await broker.clock.measure()

    circuits = ToldCircuits(broker.circuits.standing, PostgresNotices(broker.database), broker.clock)
    with suppress(BrokerError):
        await broker.clock.measure()
    for every_s, run in (
        (_LOOK_EVERY_S, look_after),
        (_FLUSH_EVERY_S, broker.behind.flush),
        (_FLUSH_EVERY_S, broker.answers.uses.flush),
        (_FLUSH_EVERY_S, broker.answers.reuses.flush),
        (_AUDIT_EVERY_S, lambda: broker.audit.flush_when_due(time.monotonic())),
        (_CIRCUITS_EVERY_S, circuits.flush),
        (_MEASURE_EVERY_S, broker.clock.measure),
        (_RECHECK_EVERY_S, recheck),
    ):
        stack.push_async_callback(end_task, asyncio.create_task(every(every_s, run, observer)))
