"""Who is on the other end: the address that counts, and under which name the caller reached us.

Forwarding headers are believed only from peers that the settings name as proxies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
LONGEST_ADDRESS = 128


class Peers:
    """Knows the trusted proxies."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def address_of(self, request: web.BaseRequest) -> Address | None:
        """Return the caller's address: the peer's, or the last hop that no proxy of ours is."""
        address = _parse(request.remote or "")
        if not self._trusts(address):
            return address
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while hops and self._trusts(address):
            named = _parse(hops.pop())
            if named is None:
                break
            address = named
        return address

    def own_origin(self, request: web.BaseRequest) -> str:
        """Return the origin under which a browser reached us, for comparison only."""
        scheme, host = request.scheme, request.headers.get("Host", "")
        if self._trusts(_parse(request.remote or "")):
            scheme = _last(request, "X-Forwarded-Proto") or scheme
            host = _last(request, "X-Forwarded-Host") or host
        return f"{scheme}://{host}".lower()

    def _trusts(self, address: Address | None) -> bool:
        return bool(self._trusted) and address is not None and any(address in net for net in self._trusted)


def _last(request: web.BaseRequest, header: str) -> str:
    """Return what the nearest proxy wrote: it appends, or replaces what came from outside."""
    return request.headers.getall(header, ("",))[-1].rpartition(",")[2].strip()


def _parse(text: str) -> Address | None:
    """Read an address, with or without a port; an IPv4 address in IPv6 clothes becomes itself."""
    return _parsed(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    """Most requests come from few peers: that of a proxy, or of a page that asks again.

    A zone (`fe80::1%eth0`) is any text at all, and means nothing to who is not on that machine.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
