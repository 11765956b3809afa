"""Reads the small languages of the settings: durations, rates, addresses, networks, names and lists.

A value that does not fit raises ValueError; the message never repeats it, because people paste secrets
into the wrong place. Must import nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

T = TypeVar("T")
Network = IPv4Network | IPv6Network

LONGEST = timedelta(days=366)
LONGEST_HOST = 253
HIGHEST_PORT = 65535

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)")
_RATE = re.compile(r"([0-9]{1,7})/(s|min|m|h)")
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
# What else the public listener has: the refresh endpoint there would be answered by it.
TAKEN_PATHS = frozenset({"/healthz", "/keep-fresh.js", "/use-fresh-token.js"})


def parse_duration(text: str) -> timedelta:
    """Read seconds (`20`, `0.5`) or one number with a unit (`20s`, `15m`, `24h`, `7d`)."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("must be seconds, or a number with one unit of s, m, h, d")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise ValueError("must not be longer than a year")
    return timedelta(seconds=seconds)


def show_duration(duration: timedelta) -> str:
    """Write a duration as the settings read it, in the largest unit that divides it."""
    seconds = duration.total_seconds()
    for unit in "dhm":
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in such a time."""

    count: int
    per: timedelta

    @property
    def per_second(self) -> float:
        """The rate as a number a second."""
        return self.count / self.per.total_seconds()

    def __str__(self) -> str:
        """Write the rate as the settings read it."""
        return f"{self.count}/{'min' if self.per == timedelta(minutes=1) else show_duration(self.per)[1:]}"


def parse_rate(text: str) -> Rate:
    """Read `450/min`, `10/s` or `1000/h`; at least one."""
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("must be a whole number above 0, a slash and one of s, min, h")
    return Rate(int(match[1]), timedelta(seconds=_SECONDS[match[2]]))


def parse_count(text: str) -> int:
    """Read a whole number."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("must be a whole number")
    return int(text)


def parse_limit(text: str) -> Rate | None:
    """Read a rate, or None from `0`: no limit."""
    return None if text == "0" else parse_rate(text)


def parse_host(text: str) -> str:
    """Read a host name, an IPv4 address or an IPv6 address in brackets; comes back in lower case.

    Spellings of an address that resolvers accept and people misread (`2130706433`, `0x7f.1`,
    `::ffff:127.0.0.1`) are refused.
    """
    host = text.lower()
    if host.startswith("["):
        return f"[{_parse_ipv6(host)}]"
    labels = host.split(".")
    if len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must name a host: letters, digits, '-' and '.', an IPv6 address in brackets")
    if _NUMERIC_LABEL.fullmatch(labels[-1]) and not isinstance(host_address(host), IPv4Address):
        raise ValueError("must write an IPv4 address as four decimal numbers")
    return host


def _parse_ipv6(bracketed: str) -> IPv6Address:
    """Read `[address]`."""
    address = host_address(bracketed)
    if not (bracketed.endswith("]") and isinstance(address, IPv6Address)):
        raise ValueError("must have an IPv6 address between the brackets")
    if address.ipv4_mapped is not None or address.scope_id is not None:
        raise ValueError("must name an IPv6 address without an IPv4 address or a zone in it")
    return address


def host_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that `parse_host` left in this form, None for a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host as `parse_host` returns it is this very machine."""
    address = host_address(host)
    return host == "localhost" if address is None else address.is_loopback


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens; an IPv6 host stands without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write the address as the settings read it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_port(text: str) -> int:
    """Read a port number; 0 means one that is free."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > HIGHEST_PORT:
        raise ValueError(f"must have a port from 0 to {HIGHEST_PORT}")
    return int(text)


def parse_address(text: str) -> Address:
    """Read `host:port`; an IPv6 host stands in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise ValueError("must be host:port, an IPv6 host in brackets")
    return Address(parse_host(host).strip("[]"), parse_port(port))


def parse_network(text: str) -> Network:
    """Read an address or a network in CIDR form."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None
    if "/" in text and str(network.network_address) != str(ip_address(text.split("/", maxsplit=1)[0])):
        raise ValueError(f"has bits set beyond its prefix: the network is {network}")
    return network


def parse_path(text: str) -> str:
    """Read an absolute URL path without empty or dot segments, trailing slash or escapes."""
    if not _PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError("must be an absolute path without trailing slash, query or '%'")
    if text in TAKEN_PATHS:
        raise ValueError("must be another path: the public listener has something else there")
    return text


def parse_flag(text: str) -> bool:
    """Read `true` or `false` (also `1`, `0`, `yes`, `no`, `on`, `off`)."""
    word = text.lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def parse_list(text: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    """Read a comma-separated list; what is wrong is said with the entry's place in it."""
    entries = [entry.strip(" ") for entry in text.split(",")]
    values: list[T] = []
    for place, entry in enumerate(entries, start=1):
        if not entry:
            raise ValueError(f"entry {place} of {len(entries)} is empty")
        try:
            values.append(parse(entry))
        except ValueError as wrong:
            raise ValueError(f"entry {place} of {len(entries)} {wrong}") from None
    return tuple(values)


def no_twins(values: tuple[T, ...], key: Callable[[T], object], what: str) -> None:
    """Refuse two entries with the same key; `what` names it."""
    if len({key(value) for value in values}) != len(values):
        raise ValueError(f"has the same {what} twice")
