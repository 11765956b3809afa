"""Lets those who present the same token wait for the first of them, and be answered by what it came to.

The first walks the whole way: it looks up, decides and refreshes. Whoever comes meanwhile costs next to
nothing. What they are given is decided for each of them, from a cache; what failed for the first has failed
for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from types import TracebackType

from service.broker.errors import (
    BrokerError,
    RefreshInProgress,
    StorageUnavailable,
    TooManyRequests,
    UpstreamUnavailable,
)
from service.broker.model import Fingerprint
from service.broker.ports import CacheHit, Found

_SHOWS_UP_S = 1.0
_REMEMBERED_S = 1.0
_ASK_AGAIN_S = 2.0
_TOLD_AT_ONCE = 64
_HOLDS_S = 0.5
"""So long what the first came to is told: less than a revoke waits before it has answered."""
_SHARED = (UpstreamUnavailable, StorageUnavailable, RefreshInProgress, TooManyRequests)
"""What says nothing of who asks: the others would only meet it again, at the price of a call each."""


class Crowd:
    """Those who wait for one who walks; it is over when that one leaves the block that it is entered for."""

    def __init__(self, crowds: Crowds, token: Fingerprint) -> None:
        self._crowds = crowds
        self._token = token
        self._followers: list[Found] = []
        self._shows_up = asyncio.get_running_loop().call_later(_SHOWS_UP_S, self.end)
        self._joined: Callable[[int], None] | None = None
        self.led = False

    def __len__(self) -> int:
        return len(self._followers)

    def __enter__(self) -> Crowd:
        self.led = True
        self._shows_up.cancel()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):  # its time was up: the refresh goes on without it
            error = RefreshInProgress(retry_after_s=_ASK_AGAIN_S)
        self.end(failure=error if isinstance(error, _SHARED) else None)

    def join(self, found: Found) -> None:
        """Wait with the others."""
        self._followers.append(found)
        if self._joined is not None:
            self._joined(1)

    def refreshes(self, joined: Callable[[int], None]) -> None:
        """Have `joined` called with how many wait for upstream from now on."""
        first, self._joined = self._joined is None, joined
        if first and self._followers:
            joined(len(self._followers))

    def close(self) -> None:
        """Let nobody join any more: what those who wait are to be given is no answer to who comes now."""
        self._crowds.forget(self, self._token)

    def end(self, hit: CacheHit | None = None, failure: BrokerError | None = None) -> None:
        """Tell everybody; who comes from now on begins anew."""
        self._shows_up.cancel()
        followers, self._followers = self._followers, []
        self._crowds.over(self, self._token, failure, len(followers))
        # On behalf of nobody: the one who walked is not who asked here.
        loop = asyncio.get_running_loop()
        if followers:
            loop.call_soon(_tell, followers, hit, loop.time() + _HOLDS_S, context=Context())


def _tell(followers: list[Found], hit: CacheHit | None, until: float) -> None:
    """Tell some in each turn of the loop: what else goes on in the process has deadlines."""
    loop = asyncio.get_running_loop()
    hit = hit if loop.time() < until else None
    for found in followers[:_TOLD_AT_ONCE]:
        try:
            found(hit)
        except Exception as error:  # noqa: BLE001 - it must not cost the others their answer
            loop.call_exception_handler({"message": "An answer could not be taken.", "exception": error})
    if len(followers) > _TOLD_AT_ONCE:
        loop.call_soon(_tell, followers[_TOLD_AT_ONCE:], hit, until)


class Crowds:
    """The crowds of one process, by the token they present."""

    def __init__(self) -> None:
        self._crowds: dict[Fingerprint, Crowd] = {}
        self._failures: dict[Fingerprint, tuple[BrokerError, int, float]] = {}

    def __len__(self) -> int:
        return len(self._crowds) + len(self._failures)

    def follow(self, token: Fingerprint, found: Found) -> bool:
        """Have `found` called with what came of the first who presents this token; False: you are the first.

        None is what sends everybody their own way; so does a first one that does not set out in a second.
        """
        crowd = self._crowds.get(token)
        if crowd is None:
            self._crowds[token] = Crowd(self, token)
            return False
        crowd.join(found)
        return True

    def lead(self, token: Fingerprint) -> Crowd | None:
        """Return the crowd that waits for whoever sets out with this token, if nobody has yet.

        Raises what the one that a follower has waited for has failed with.
        """
        self._raise_failure(token)
        crowd = self._crowds.get(token)
        return None if crowd is None or crowd.led else crowd

    def over(self, crowd: Crowd, token: Fingerprint, failure: BrokerError | None, followers: int) -> None:
        """Forget the crowd; a failure is kept for as many as waited, and not for long: some may have left."""
        self.forget(crowd, token)
        if failure is None or not followers:
            return
        loop = asyncio.get_running_loop()
        self._failures[token] = (failure, followers, loop.time() + _REMEMBERED_S)
        loop.call_later(_REMEMBERED_S, self._forget, token)

    def forget(self, crowd: Crowd, token: Fingerprint) -> None:
        """Let who comes from now on begin anew."""
        if self._crowds.get(token) is crowd:
            del self._crowds[token]

    def _raise_failure(self, token: Fingerprint) -> None:
        failure, left, until = self._failures.get(token, (None, 0, 0.0))
        if failure is None:
            return
        if left > 1:
            self._failures[token] = (failure, left - 1, until)
        else:
            del self._failures[token]
        raise failure.with_traceback(None)

    def _forget(self, token: Fingerprint) -> None:
        held = self._failures.get(token)
        if held is not None and held[2] <= asyncio.get_running_loop().time():
            del self._failures[token]
