"""Counts unknown tokens by the address they come from, in this process.

A good token is never refused for its neighbours' failures: only the next unknown one is.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from service.broker.errors import BrokerError, TokenUnknown, TooManyRequests
from service.broker.limits import Limits

_IPV6_HOST_BITS = 64
"""A household or a host has that many addresses of its own, so they count as one."""


class AddressFailures:
    """Allows so many unknown tokens a minute from one address; 0 allows any number."""

    def __init__(self, per_minute: float) -> None:
        self._limits = Limits(per_minute / 60)

    def refusal(self, address: IPv4Address | IPv6Address | None) -> BrokerError:
        """Return what to answer to an unknown token from there: that it is unknown, or to slow down."""
        wait_s = self._limits.take(one_caller(address), datetime.now(UTC))
        if wait_s > 0:
            return TooManyRequests("Too many unknown tokens from this address.", retry_after_s=wait_s)
        return TokenUnknown()


def one_caller(address: IPv4Address | IPv6Address | None) -> Hashable:
    """Return what stands for every address that a caller has at once: a number, which is quickly compared."""
    if isinstance(address, IPv6Address):
        return int(address) >> _IPV6_HOST_BITS
    return None if address is None else -int(address)
