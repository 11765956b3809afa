"""Trouble at will: what the page's buttons switch on in the sandbox, so that people can watch the recovery.

Knows the sandbox; must import nothing of the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.calcom import Sandbox

_THROTTLED_S = 10.0


def _lost(sandbox: Sandbox, _: int) -> bool:
    sandbox.fault("drop_after", "refresh", count=1)
    return True


def _failed(sandbox: Sandbox, _: int) -> bool:
    sandbox.fault("error_before", "refresh", count=1)
    return True


def _throttled(sandbox: Sandbox, _: int) -> bool:
    sandbox.fault("throttled", "refresh", count=1, reset_s=_THROTTLED_S)
    return True


def _purged(sandbox: Sandbox, user_id: int) -> bool:
    user = sandbox.user(user_id)
    if user is not None and user.client_id is not None:
        sandbox.purge(user.client_id)
    return False


def _ended(sandbox: Sandbox, user_id: int) -> bool:
    sandbox.expire(user_id)
    return False


TROUBLE: dict[str, Callable[[Sandbox, int], bool]] = {
    "lost": _lost,
    "failed": _failed,
    "throttled": _throttled,
    "purged": _purged,
    "ended": _ended,
}
"""By name; each returns whether a rotation is needed for it to be seen."""
