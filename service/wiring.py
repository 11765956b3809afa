"""Introduces the rooms to each other: builds the broker with its adapters from the settings.

Used alike by the service and the worker; what only one of them needs is built there.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from service.adapters.budget import RedisBudget
from service.adapters.cache import RedisCache
from service.adapters.lease import RedisLeases
from service.adapters.postgres import (
    Database,
    DatabaseClock,
    PostgresClaims,
    PostgresEvents,
    PostgresGrants,
    PostgresOverview,
    PostgresUpkeep,
    PostgresUsers,
)
from service.adapters.postgres.rows import Rows
from service.adapters.queue import NAME as QUEUE_NAME
from service.adapters.queue import SERIALIZED_BY as QUEUE_SERIALIZED_BY
from service.adapters.queue import open_queue
from service.adapters.redis_link import RedisLink
from service.adapters.sightings import RedisSightings
from service.adapters.upstream import PROVIDER_KINDS, open_session
from service.adapters.vault import FingerprintRing, Vault, key_id_of
from service.adapters.wakeups import RedisWakeups
from service.beside import keep_going
from service.broker.answers import Answers
from service.broker.at_hand import AtHand
from service.broker.audit import Audit
from service.broker.background import every
from service.broker.behind import Behind
from service.broker.calls import Calls
from service.broker.circuits import Circuits
from service.broker.confirmations import Confirmations
from service.broker.creation import Creation
from service.broker.flights import end_task
from service.broker.grants import Grants
from service.broker.imports import Imports
from service.broker.overview import Overview, late_after
from service.broker.policy import Terms
from service.broker.ports import Ports
from service.broker.refresh import Refresh
from service.broker.sweeps import Sweeps
from service.broker.users import Users
from service.broker.verification import Verification
from service.wired import Broker
from sql.files import newest_version

if TYPE_CHECKING:
    from service.broker.ports import Looks, Observer, Provider
    from service.secrets import Secret
    from service.settings import Settings
    from service.tracing.spans import Tracing

__all__ = ["QUEUE_NAME", "QUEUE_SERIALIZED_BY", "open_broker", "open_queue", "terms_of"]

_RECHECK_EVERY_S = 2.0


def terms_of(settings: Settings) -> Terms:
    """Return the durations the broker decides by."""
    return Terms(
        refresh_margin=settings.refresh_margin,
        min_life=settings.min_life,
        access_token_lifetime=settings.access_token_lifetime,
        superseded_window=settings.superseded_window,
        binding_idle=settings.binding_idle,
        binding_absolute=settings.binding_absolute,
        ahead_all=settings.ahead == "all",
        upstream_timeout=settings.upstream_timeout,
        database_timeout=settings.database_timeout,
        claim_deadline=settings.claim_deadline,
        user_rotations_per_s=settings.user_rotations.per_second if settings.user_rotations else 0.0,
    )


@asynccontextmanager
async def open_broker(
    settings: Settings, observer: Observer, tracing: Tracing | None = None
) -> AsyncIterator[Broker]:
    """Build the broker and keep it going; everything is closed in reverse at the end."""
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url.value,
            observer,
            timeout_s=settings.database_timeout.total_seconds(),
            schema=newest_version(),
        )
        await database.start()
        stack.push_async_callback(database.aclose)
        clock = DatabaseClock(database)
        redis = RedisLink(settings.redis_url.value, observer)
        stack.push_async_callback(redis.aclose)
        settings.database_url.follow(database.reload)
        settings.redis_url.follow(redis.reload)
        vault = Vault.on(settings.encryption_keys)
        cache = RedisCache(redis, vault, observer, clock, only_current=not settings.superseded_window)
        stack.push_async_callback(cache.aclose)
        ports = await _ports(settings, observer, stack, database, clock, redis, vault, cache)
        audit = Audit(ports.events, ports.fingerprints, ports.clock, observer)
        ports = replace(ports, observer=audit.hearing(observer))
        if tracing is not None:
            ports = _followed(ports, tracing)
        broker = replace(_use_cases(settings, ports, cache, audit, database, clock, redis), tracing=tracing)
        await keep_going(settings, broker, observer, stack)
        yield broker


async def _ports(
    settings: Settings,
    observer: Observer,
    stack: AsyncExitStack,
    database: Database,
    clock: DatabaseClock,
    redis: RedisLink,
    vault: Vault,
    cache: RedisCache,
) -> Ports:
    report = partial(vault.report, observer)
    stack.push_async_callback(report)
    stack.push_async_callback(end_task, asyncio.create_task(every(_RECHECK_EVERY_S, report, observer)))
    fingerprints = FingerprintRing(settings.fingerprint_keys.value)
    settings.fingerprint_keys.follow(fingerprints.reload)
    rows = Rows(vault, settings.claim_deadline, key_id_of)
    wakeups = RedisWakeups(redis)
    wakeups.start()
    stack.push_async_callback(wakeups.aclose)
    windows = {"claim_deadline": settings.claim_deadline, "distrust_window": settings.distrust_window}
    return Ports(
        claims=PostgresClaims(database, rows, fingerprints, **windows),
        grants=PostgresGrants(database, rows, distrust_window=settings.distrust_window),
        users=PostgresUsers(database, rows, fingerprints, **windows),
        events=PostgresEvents(database),
        providers=await _providers(settings, observer, stack),
        cache=cache,
        leases=RedisLeases(redis, observer, ttl_s=settings.lease_ttl.total_seconds()),
        wakeups=wakeups,
        budget=RedisBudget(redis, observer, {c.name: c.rate.per_second for c in settings.clients}),
        fingerprints=fingerprints,
        observer=observer,
        clock=clock,
        roll=random.random,
        owner=f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}",
    )


def _followed(ports: Ports, tracing: Tracing) -> Ports:
    from service.tracing.follow import follow_ports

    return follow_ports(ports, tracing)


async def _providers(settings: Settings, observer: Observer, stack: AsyncExitStack) -> dict[str, Provider]:
    session = open_session()
    stack.push_async_callback(session.close)
    timeout_s = settings.upstream_timeout.total_seconds()
    return {
        client.name: PROVIDER_KINDS[client.kind](
            session, client.api_url, client.id, partial(_now, client.secret), timeout_s, observer, client.name
        )
        for client in settings.clients
    }


def _now(secret: Secret[tuple[str, ...]]) -> tuple[str, ...]:
    return secret.value


def _use_cases(
    settings: Settings,
    ports: Ports,
    looks: Looks,
    audit: Audit,
    database: Database,
    clock: DatabaseClock,
    redis: RedisLink,
) -> Broker:
    terms = terms_of(settings)
    circuits = Circuits(ports.providers, ports.observer, ports.clock)
    calls = Calls(ports, terms, circuits)
    refresh = Refresh(ports, terms, calls)
    confirmations = Confirmations(ports)
    grants = Grants(ports, terms, refresh)
    creation = Creation(ports, terms, calls)
    answers = Answers(ports, terms, refresh, confirmations, grants)
    behind = Behind(answers.reuses, answers.uses, audit)
    lifetime = settings.access_token_lifetime
    store = PostgresOverview(database, lifetime, late_after(lifetime))
    return Broker(
        answers=answers,
        at_hand=AtHand(ports, looks, terms, behind, answers.crowds),
        behind=behind,
        users=Users(ports, terms, calls, creation, grants),
        imports=Imports(ports, terms, Verification(ports, calls)),
        sweeps=Sweeps(ports, terms, refresh, confirmations, calls),
        circuits=circuits,
        refresh=refresh,
        confirmations=confirmations,
        creation=creation,
        audit=audit,
        upkeep=PostgresUpkeep(database),
        overview=Overview(store, RedisSightings(redis), ports.budget, circuits, clock),
        database=database,
        redis=redis,
        clock=clock,
        clients=tuple(ports.providers),
    )
