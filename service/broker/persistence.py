"""What upstream has issued must be committed: tried for as long as the process lives, drain included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.broker.errors import BrokerError, StorageUnavailable
from service.broker.model import UserKey
from service.broker.ports import Observer

Written = TypeVar("Written")

_AGAIN_S = 0.1
_AGAIN_AT_MOST_S = 2.0
_UNFORESEEN_AT_MOST = 6


async def persistently(write: Callable[[], Awaitable[Written]], observer: Observer, key: UserKey) -> Written:
    """Return what `write` returns, however long the database cannot answer.

    An error that nobody foresaw is given a few more tries before it is raised: the pair exists nowhere else.
    What `write` decides (any other BrokerError) is raised at once.
    """
    again_s, unforeseen = _AGAIN_S, 0
    while True:
        try:
            return await write()
        except StorageUnavailable as error:
            reason = error.code
        except BrokerError:
            raise
        except Exception as error:
            unforeseen += 1
            if unforeseen >= _UNFORESEEN_AT_MOST:
                raise
            reason = type(error).__name__
        observer.note("refresh.unsettled", key, reason=reason)
        await asyncio.sleep(again_s)
        again_s = min(again_s * 2, _AGAIN_AT_MOST_S)
