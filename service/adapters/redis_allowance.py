"""How long one request waits for Redis in all, however many questions it has.

A request's own count goes with its context, hence into the refresh it starts. Work that nobody began a
count for (the worker's, a probe's) is bounded by each question's own deadline alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from service.adapters.redis_health import RedisUnavailable

T = TypeVar("T")

_NEXT_TO_NOTHING = 0.1
"""The share of an allowance up to which no timer is set: each question's own deadline does then."""


@dataclass(slots=True)
class _Allowance:
    seconds: float
    spent_s: float = 0.0


_current: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


def begin(seconds: float) -> None:
    """Begin a request that waits so long for Redis in all."""
    _current.set(_Allowance(seconds))


def end() -> None:
    """Go on without a request's allowance: for what is begun by a request and outlives it."""
    _current.set(None)


def spend(seconds: float) -> None:
    """Count what this request has waited for Redis before it was begun."""
    allowance = _current.get()
    if allowance is not None:
        allowance.spent_s += seconds


async def within(answer: Awaitable[T]) -> T:
    """Return the answer; raises RedisUnavailable when the request's allowance ends before."""
    allowance = _current.get()
    if allowance is None:
        return await answer
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    try:
        if allowance.spent_s <= allowance.seconds * _NEXT_TO_NOTHING:
            return await answer
        async with asyncio.timeout(allowance.seconds - allowance.spent_s):
            return await answer
    except TimeoutError:
        raise RedisUnavailable("the request has waited long enough") from None
    finally:
        allowance.spent_s += loop.time() - asked_at
