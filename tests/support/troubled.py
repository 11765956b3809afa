"""A user in trouble as the overview shows it, to be changed where a test needs it."""

from datetime import UTC, datetime, timedelta

from service.broker.model import GrantState, UserKey
from service.broker.ports.overview import Concern, Count, Troubled

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_troubled(user_id="u-1", **changes):
    """A user whose last refresh failed."""
    stands = {
        "concern": Concern.FAILING, "upstream_id": "7", "email": "ann@example.com", "state": GrantState.LIVE,
        "reason": "refresh.rotated", "has_token": True, "refresh_token_dead": False, "failures": 1,
        "expires_at": NOON + timedelta(minutes=9), "distrusted_until": None,
        "retry_at": NOON + timedelta(minutes=1), "due_at": NOON + timedelta(minutes=1),
        "last_error": "upstream: 503", "last_error_at": NOON,
    }  # fmt: skip
    return Troubled(UserKey("acme", user_id), **stands | changes)


def a_count(**users):
    """How a client's users stood at noon."""
    nobody = dict.fromkeys(("fresh", "stale", "overdue", "idle", "paused", "dead"), 0)
    marks = dict.fromkeys(("refused", "distrusted", "force_pending", "failing", "without_token"), 0)
    return Count(NOON, nobody | users, marks, 0.0, 0, 60.0, [0] * 59 + [3])
