"""What upstream has issued must be committed: tried for as long as the process lives, drain included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.broker.errors import StorageUnavailable
from service.broker.model import UserKey
from service.broker.ports import Observer

Written = TypeVar("Written")

_AGAIN_S = 0.1
_AGAIN_AT_MOST_S = 2.0


async def persistently(write: Callable[[], Awaitable[Written]], observer: Observer, key: UserKey) -> Written:
    """Return what `write` returns, however long the database cannot answer."""
    again_s = _AGAIN_S
    while True:
        try:
            return await write()
        except StorageUnavailable:
            observer.note("refresh.unsettled", key)
            await asyncio.sleep(again_s)
            again_s = min(again_s * 2, _AGAIN_AT_MOST_S)
