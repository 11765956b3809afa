"""The listeners' sockets: one process's own, or one for each of several processes on the same address.

Light to import: a supervisor binds and never serves.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import Protocol

PUBLIC, INTERNAL, OBSERVE = "public", "internal", "observe"
BACKLOG = 1024
# Elsewhere the option exists but gives all connections to one socket: there all processes share one.
_SPREADS = sys.platform == "linux"


class Address(Protocol):
    """Where to listen; port 0 is any that is free."""

    @property
    def host(self) -> str:
        """Return the host, an IPv6 address without brackets."""

    @property
    def port(self) -> int:
        """Return the port."""


@dataclass(frozen=True, slots=True)
class _At:
    host: str
    port: int


def bind(address: Address, *, together: bool = False) -> socket.socket:
    """Return a listening socket; with `together` others of this program may listen on the same address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    dual = family == socket.AF_INET6 and address.host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(
        (address.host, address.port),
        family=family,
        backlog=BACKLOG,
        dualstack_ipv6=dual,
        reuse_port=together,
    )


def bind_for_each(address: Address, processes: int) -> list[socket.socket]:
    """Return a listening socket for each process: the kernel spreads connections over them evenly.

    On one socket that all accept from, whoever is quick takes nearly all connections that come at once.
    """
    if address.port:
        # Another program's sockets that may be joined must not be: this fails where anybody listens.
        bind(address).close()
    if not _SPREADS:
        return [bind(address)] * processes
    first = bind(address, together=True)
    at = _At(address.host, first.getsockname()[1])
    return [first, *(bind(at, together=True) for _ in range(processes - 1))]
