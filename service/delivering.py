"""What the worker does for notices: sends those that wait, and once a minute tidies up.

Without a webhook nothing is sent; notices are kept all the same, to be sent again should one be set up.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from service.adapters.postgres.notices import PostgresNotices
from service.adapters.webhook import Webhook, open_webhook_session
from service.broker.background import every
from service.broker.deliveries import Deliveries, DeliveryTerms
from service.broker.flights import end_task
from service.broker.told import LEFT_AFTER
from service.settings.webhooks import TYPES

if TYPE_CHECKING:
    from service.broker.ports import Observer
    from service.settings import Settings
    from service.wired import Broker

LOOK_EVERY_S = 1.0
TIDY_EVERY_S = 60.0
END_WITHIN_S = 5.0
HELD_BEYOND = timedelta(seconds=15)
"""A claim holds so much longer than a call may take."""
NOT_WANTED_AFTER = timedelta(minutes=10)
"""Until then a worker that knows of no webhook leaves a notice to one that may have just been given it."""


@asynccontextmanager
async def delivering(settings: Settings, observer: Observer, broker: Broker) -> AsyncIterator[None]:
    """Send notices while the block runs; what is being sent at its end is given a moment."""
    store = PostgresNotices(broker.database)
    async with AsyncExitStack() as stack:

        async def tidy() -> None:
            await _tidy(settings, observer, broker, store)

        stack.push_async_callback(
            end_task, asyncio.create_task(every(TIDY_EVERY_S, tidy, observer, at_once=True))
        )
        if settings.webhook_url is not None:
            deliveries = await _deliveries(settings, settings.webhook_url, observer, broker, store, stack)
            observer.note("webhook.started", types=_wanted(settings))
            running = asyncio.create_task(every(LOOK_EVERY_S, deliveries.run, observer, at_once=True))
            stack.push_async_callback(end_task, running)
            stack.push_async_callback(deliveries.drain, END_WITHIN_S)
        yield


async def _deliveries(
    settings: Settings,
    url: str,
    observer: Observer,
    broker: Broker,
    store: PostgresNotices,
    stack: AsyncExitStack,
) -> Deliveries:
    session = open_webhook_session()
    stack.push_async_callback(session.close)
    secret, timeout = settings.webhook_secrets, settings.webhook_timeout
    webhook = Webhook(session, url, lambda: secret.value, timeout.total_seconds())
    terms = DeliveryTerms(_wanted(settings), timeout + HELD_BEYOND, settings.webhook_give_up)
    owner = secrets.token_hex(8)
    return Deliveries(store, webhook, terms, owner, broker.clock, random.random, observer)


def _wanted(settings: Settings) -> tuple[str, ...]:
    """Return the types of notices that are sent: none without a webhook."""
    return () if settings.webhook_url is None else settings.webhook_events or TYPES


async def _tidy(settings: Settings, observer: Observer, broker: Broker, store: PostgresNotices) -> None:
    """Look for what nothing else tells of, let go of what is old, and count what waits."""
    now = broker.clock()
    wanted = _wanted(settings)
    await store.close_left(LEFT_AFTER)
    for client in broker.clients:
        await store.note_endings(client, now, settings.refresh_token_notice)
    await store.pass_over(wanted, now - NOT_WANTED_AFTER, now)
    await store.prune(now - settings.webhook_kept)
    if wanted:
        backlog = await store.backlog(wanted, now)
        observer.note("webhook.backlog", waiting=backlog.waiting, oldest_s=backlog.oldest_s)
