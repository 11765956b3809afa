"""Asks the token broker for users' access tokens, so that no service writes the call by hand.

async with Broker("http://broker.internal:8081", key) as broker:
    token = await broker.token("user-1", min_ttl=120)

Needs aiohttp and nothing else; imports nothing of the broker's own program.
"""

from token_broker_client.broker import Broker
from token_broker_client.errors import (
    BadAnswer,
    BrokerError,
    Conflict,
    GrantDead,
    GrantPaused,
    Invalid,
    KeysUnavailable,
    KeyUnknown,
    MinTtlTooLong,
    RefreshInProgress,
    ScopeMissing,
    StorageUnavailable,
    TooManyRequests,
    TryAgain,
    Unreachable,
    UpstreamUnavailable,
    UserUnknown,
)
from token_broker_client.middleware import TokenMiddleware
from token_broker_client.token import Token

__all__ = [
    "BadAnswer",
    "Broker",
    "BrokerError",
    "Conflict",
    "GrantDead",
    "GrantPaused",
    "Invalid",
    "KeyUnknown",
    "KeysUnavailable",
    "MinTtlTooLong",
    "RefreshInProgress",
    "ScopeMissing",
    "StorageUnavailable",
    "Token",
    "TokenMiddleware",
    "TooManyRequests",
    "TryAgain",
    "Unreachable",
    "UpstreamUnavailable",
    "UserUnknown",
]
