"""Where public keys come from: a file that may be replaced, or an address that is asked seldom.

A set that cannot be had or used changes nothing: the last good one stays, and the observer hears of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.adapters.files import state_of
from service.adapters.key_set import Keys, PublicKey, parse_keys, read_keys
from service.adapters.upstream.exchange import Answer, Exchange
from service.broker.errors import KeysUnavailable

if TYPE_CHECKING:
    from service.broker.ports import Observer

LARGEST_FILE = 64 * 1024
FRESH_S = 300.0
"""A set is asked for again after so long, so that a key that was taken back stops counting."""
AGAIN_S = 30.0
"""However many statements name keys that are not there, the address is asked once in this time."""
FIRST_AGAIN_S = 2.0
"""The same while no set was ever had: the app may be starting beside the broker."""

_HTTP_OK = 200


class KeySource(Protocol):
    """Gives the key that a statement names."""

    async def key(self, key_id: str) -> PublicKey | None:
        """Return it, None when there is none; KeysUnavailable when no set was ever had."""

    async def look(self) -> None:
        """See whether a source that failed is well again."""


def read_key_file(path: Path) -> Keys:
    """Return the file's keys; ValueError says why not."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as wrong:
        raise ValueError(f"names a file that cannot be read ({wrong.strerror})") from None
    if len(raw) > LARGEST_FILE:
        raise ValueError(f"names a file larger than {LARGEST_FILE} bytes")
    try:
        return parse_keys(raw)
    except ValueError as wrong:
        raise ValueError(f"names a file that cannot be used: {wrong}") from None


class KeyFile:
    """A file of keys. A look at its state costs microseconds, so each statement takes one."""

    def __init__(self, path: Path, name: str, observer: Observer) -> None:
        """Read the file, which is there and good; `name` is the setting that names it."""
        self._path, self._name, self._observer = path, name, observer
        self._seen = state_of(path)
        self._keys = read_key_file(path)

    async def key(self, key_id: str) -> PublicKey | None:
        """Return the key by this id, of the file as it is now."""
        await self.look()
        return self._keys.get(key_id)

    async def look(self) -> None:
        """Read the file again if it changed."""
        seen = state_of(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = read_key_file(self._path)
        except ValueError as wrong:
            self._observer.note("secret.kept", name=self._name, reason=str(wrong))
            return
        self._observer.note("secret.replaced", name=self._name)


class KeyAddress:
    """An address of keys, asked when the set is old or lacks a key, one question at a time."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Exchange]],
        observer: Observer,
        dependency: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take who asks the address (`key_addresses`), and how what it depends on is called."""
        self._ask_address = ask
        self._observer, self._dependency, self._monotonic = observer, dependency, monotonic
        self._keys: Keys = {}
        self._old_at = self._again_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> PublicKey | None:
        """Return the key by this id; only for one that is not there an answer is waited for."""
        if key_id not in self._keys:
            await self._ask()
        elif self._monotonic() >= self._old_at:
            self._begin()
        if not self._keys:
            raise KeysUnavailable(retry_after_s=max(1.0, self._again_at - self._monotonic()))
        return self._keys.get(key_id)

    async def look(self) -> None:
        """Ask again when the set is old: the last question failed, or none was asked for a while."""
        if self._monotonic() >= self._old_at:
            await self._ask()

    async def _ask(self) -> None:
        """Wait for the question under way, or for a new one if it is time; who leaves does not stop it."""
        if (asking := self._begin()) is not None:
            await asyncio.shield(asking)

    def _begin(self) -> asyncio.Task[None] | None:
        """Return the question under way, or a new one if it is time."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        if self._monotonic() < self._again_at:
            return None
        self._again_at = self._monotonic() + (AGAIN_S if self._keys else FIRST_AGAIN_S)
        self._asking = asyncio.create_task(self._fetch())
        return self._asking

    async def _fetch(self) -> None:
        exchange = await self._ask_address()
        try:
            if not isinstance(exchange, Answer):
                raise ValueError(getattr(exchange, "reason", "not sent"))  # noqa: TRY004 - one way out
            if exchange.status != _HTTP_OK:
                raise ValueError(f"status {exchange.status}")
            self._keys = read_keys(exchange.body)
        except ValueError as wrong:
            self._observer.note("dependency.down", dependency=self._dependency, reason=str(wrong))
            return
        self._old_at = self._monotonic() + FRESH_S
        self._observer.note("dependency.up", dependency=self._dependency)
