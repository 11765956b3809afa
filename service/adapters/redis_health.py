"""Decides when Redis counts as down, says so once, and leaves a failing Redis alone for a while.

Does no I/O and reads no clock.
"""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.broker.ports import Observer

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "timeout"),
    (RedisTimeoutError, "timeout"),
    (BusyLoadingError, "loading"),
    (AuthenticationError, "authentication"),
    (ReadOnlyError, "read_only"),
    (OutOfMemoryError, "full"),
    (NoPermissionError, "not_permitted"),
    (ResponseError, "refused"),
)


class RedisUnavailable(Exception):
    """Redis did not do what it was asked, or nobody knows whether it did."""


class Health:
    """Knows what is wrong with Redis and tells it once: `dependency.down`, later `dependency.up`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._wrong: set[str] = set()

    @property
    def well(self) -> bool:
        """Whether nothing is known to be wrong."""
        return not self._wrong

    def wrong(self, what: str, problem: BaseException) -> RedisUnavailable:
        """Note that `what` (read, write, wakeups) does not work; returns the error to raise."""
        known = (reason for kind, reason in _REASONS if isinstance(problem, kind))
        reason = next(known, "unreachable")
        if not self._wrong:
            self._observer.note("dependency.down", dependency="redis", reason=reason, what=what)
        self._wrong.add(what)
        return RedisUnavailable(reason)

    def right(self, what: str) -> None:
        """Note that it works; all is well when nothing is left that did not."""
        if what not in self._wrong:
            return
        self._wrong.remove(what)
        if not self._wrong:
            self._observer.note("dependency.up", dependency="redis")


class Breaker:
    """After a failure lets nobody through for `rest_s` seconds, then one at a time, until one comes back."""

    def __init__(self, rest_s: float) -> None:
        self._rest_s = rest_s
        self._opens_at: float | None = None

    def admits(self, now: float) -> bool:
        """Whether a call may be tried now; who is let through after a rest is the probe."""
        if self._opens_at is None:
            return True
        if now < self._opens_at:
            return False
        self._opens_at = now + self._rest_s
        return True

    def failed(self, now: float) -> None:
        """Note that a call did not come back."""
        self._opens_at = now + self._rest_s

    def worked(self) -> None:
        """Note that a call came back."""
        self._opens_at = None
