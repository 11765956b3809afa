"""What the broker needs of the world, as protocols; adapters implement them, tests wrap them."""

from service.broker.ports.all import (
    Ports,
)
from service.broker.ports.events import EventStore
from service.broker.ports.keys import (
    KeyProvider,
    Keys,
)
from service.broker.ports.provider import (
    MaySend,
    Provider,
)
from service.broker.ports.session import Witness
from service.broker.ports.stores import (
    Aftermath,
    ClaimStore,
    DueGrant,
    Gauges,
    GrantStore,
    NewGrant,
    Settlement,
    Upkeep,
    Use,
    UserQuery,
    UserStore,
)
from service.broker.ports.world import (
    Budget,
    BudgetSight,
    Cache,
    CacheHit,
    Clock,
    Fingerprints,
    Found,
    Leases,
    LeaseState,
    Looks,
    Observer,
    Roll,
    Tracer,
    Trail,
    Wakeups,
)

__all__ = [
    "Aftermath",
    "Budget",
    "BudgetSight",
    "Cache",
    "CacheHit",
    "ClaimStore",
    "Clock",
    "DueGrant",
    "EventStore",
    "Fingerprints",
    "Found",
    "Gauges",
    "GrantStore",
    "KeyProvider",
    "Keys",
    "LeaseState",
    "Leases",
    "Looks",
    "MaySend",
    "NewGrant",
    "Observer",
    "Ports",
    "Provider",
    "Roll",
    "Settlement",
    "Tracer",
    "Trail",
    "Upkeep",
    "Use",
    "UserQuery",
    "UserStore",
    "Wakeups",
    "Witness",
]
