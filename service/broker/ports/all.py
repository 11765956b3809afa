"""Everything the use cases reach the world through, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from service.broker.ports.events import EventStore
from service.broker.ports.provider import Provider
from service.broker.ports.stores import ClaimStore, GrantStore, UserStore
from service.broker.ports.world import (
    Budget,
    Cache,
    Clock,
    Fingerprints,
    Leases,
    Observer,
    Roll,
    Tracer,
    Wakeups,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the use cases reach the world through."""

    claims: ClaimStore
    grants: GrantStore
    users: UserStore
    events: EventStore
    providers: dict[str, Provider]
    cache: Cache
    leases: Leases
    wakeups: Wakeups
    budget: Budget
    fingerprints: Fingerprints
    observer: Observer
    clock: Clock
    roll: Roll
    owner: str
    """Names this process in claims."""
    tracer: Tracer | None = None
    """None where nobody follows the work, which is the usual case."""
