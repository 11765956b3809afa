"""Binds the addresses of the settings before anything answers on one of them.

What cannot be listened on is a configuration error. Light to import, as `service.api.sockets` is.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from service.api.sockets import INTERNAL, OBSERVE, PUBLIC, Address, bind, bind_for_each
from service.settings import ConfigurationError, Problem

if TYPE_CHECKING:
    from service.settings import Settings

T = TypeVar("T")
Sockets = dict[str, socket.socket]
"""The sockets of one process, by their listeners' names."""


def bind_all(settings: Settings) -> Sockets:
    """Bind the three listeners' addresses."""
    return {name: bind_address(setting, address) for name, setting, address in _listeners(settings)}


def bind_all_for_each(settings: Settings) -> list[Sockets]:
    """Bind the three listeners' addresses for each of several service processes."""
    places: list[Sockets] = [{} for _ in range(settings.workers)]
    for name, setting, address in _listeners(settings):
        sockets = _bound(setting, address, lambda at: bind_for_each(at, settings.workers))
        for place, sock in zip(places, sockets, strict=True):
            place[name] = sock
    return places


def bind_address(name: str, address: Address) -> socket.socket:
    """Bind the address of a setting; raises ConfigurationError when it cannot be listened on."""
    return _bound(name, address, bind)


def _listeners(settings: Settings) -> list[tuple[str, str, Address]]:
    _require_compiled_parser()
    return [
        (PUBLIC, "TOKEN_BROKER_PUBLIC_ADDRESS", settings.public_address),
        (INTERNAL, "TOKEN_BROKER_INTERNAL_ADDRESS", settings.internal_address),
        (OBSERVE, "TOKEN_BROKER_OBSERVE_ADDRESS", settings.observe_address),
    ]


def _require_compiled_parser() -> None:
    """Refuse to read requests with the second parser of aiohttp, which took what the first refuses."""
    if os.environ.get("AIOHTTP_NO_EXTENSIONS"):
        what = "must not be set: requests would be read by aiohttp's other, less strict parser. Remove it"
        raise ConfigurationError([Problem("AIOHTTP_NO_EXTENSIONS", what)])


def _bound(name: str, address: Address, bind_it: Callable[[Address], T]) -> T:
    try:
        return bind_it(address)
    except OSError as error:
        what = (
            f"{address.host}:{address.port} cannot be listened on: {error.strerror or type(error).__name__}"
        )
        raise ConfigurationError([Problem(name, what, "127.0.0.1:18080")]) from None
