"""Upstream's throttler: three buckets chosen by header, a window, then a block.

Decides from headers and address only, before and independently of authentication.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.calcom import errors
from sandbox.calcom.config import Limits
from sandbox.calcom.jwt import identifier

BUCKETS_KEPT = 20_000


@dataclass(slots=True)
class _Bucket:
    hits: int
    window_ends: float
    blocked_until: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may pass, and the headers its answer carries."""

    blocked: bool
    headers: dict[str, str]


class Throttle:
    """Counts calls a bucket; `clock` is in seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float], *, on: bool = True) -> None:
        self.limits = limits
        self.on = on
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, headers: Mapping[str, str], address: str) -> Verdict:
        """Count one call and say whether it may pass; an API key, which nobody has here, is refused."""
        key, limit = self._tracker(headers, address)
        now = self._clock()
        bucket = self._current(key, now)
        if bucket.blocked_until is None:
            bucket.hits += 1
            if bucket.hits > limit:
                bucket.blocked_until = now + self.limits.block_s
        return self._verdict(bucket, limit, now)

    def reset(self) -> None:
        """Forget every bucket."""
        self._buckets.clear()

    def _tracker(self, headers: Mapping[str, str], address: str) -> tuple[str, int]:
        token = headers.get("Authorization", "").replace("Bearer ", "", 1)
        if token.startswith("cal_"):
            raise errors.unauthorized("CustomThrottlerGuard - Invalid API Key")
        if token:
            return f"access_token_{identifier(token)}", self.limits.access_token
        client_id = headers.get("x-cal-client-id")
        if client_id:
            return f"oauth_client_{client_id}", self.limits.client
        return f"ip_{headers.get('cf-connecting-ip', address)}", self.limits.address

    def _current(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None or self._over(bucket, now):
            self._prune(now)
            bucket = self._buckets[key] = _Bucket(0, now + self.limits.window_s)
        return bucket

    @staticmethod
    def _over(bucket: _Bucket, now: float) -> bool:
        ends = bucket.window_ends if bucket.blocked_until is None else bucket.blocked_until
        return now >= ends

    def _prune(self, now: float) -> None:
        if len(self._buckets) < BUCKETS_KEPT:
            return
        over = [key for key, bucket in self._buckets.items() if self._over(bucket, now)]
        for key in over or list(self._buckets)[: BUCKETS_KEPT // 2]:
            del self._buckets[key]

    def _verdict(self, bucket: _Bucket, limit: int, now: float) -> Verdict:
        blocked = bucket.blocked_until is not None
        ends = bucket.window_ends if bucket.blocked_until is None else bucket.blocked_until
        left = 0 if blocked else max(0, limit - bucket.hits)
        return Verdict(blocked, limit_headers(limit, left, ends - now))


def limit_headers(limit: int, left: int, reset_s: float) -> dict[str, str]:
    """Return upstream's rate headers; there is no Retry-After."""
    return {
        "X-RateLimit-Limit-Default": str(limit),
        "X-RateLimit-Remaining-Default": str(left),
        "X-RateLimit-Reset-Default": str(max(0, math.ceil(reset_s))),
    }
