"""What the broker says when it gives no token: one class a problem code. Holds no token and no key.

`TryAgain` says that asking again later may do: the client has done so already, until its time was over.
"""

from __future__ import annotations

from collections.abc import Mapping


class BrokerError(Exception):
    """The broker gave no token."""

    code = ""

    def __init__(
        self,
        detail: str = "",
        *,
        code: str = "",
        status: int = 0,
        retry_after_s: float | None = None,
        request_id: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the answer said; `status` is 0 where there was none."""
        super().__init__(detail or (self.__doc__ or "").partition("\n")[0])
        self.code = code or self.code
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.fields = dict(fields or {})


class TryAgain(BrokerError):
    """The broker gives no token now, and may later."""


class Unreachable(TryAgain):
    """The broker cannot be reached, or did not answer in time."""

    code = "unreachable"


class BadAnswer(BrokerError):
    """What answered does not speak as the broker does: check the URL, and what is in between."""

    code = "bad_answer"


class TooManyRequests(TryAgain):
    """Too much was asked for this user."""

    code = "too_many_requests"


class UpstreamUnavailable(TryAgain):
    """No live token is held, and upstream issues none now."""

    code = "upstream_unavailable"


class StorageUnavailable(TryAgain):
    """The broker cannot reach its database."""

    code = "storage_unavailable"


class RefreshInProgress(TryAgain):
    """A refresh is under way and has not ended in time."""

    code = "refresh_in_progress"


class KeysUnavailable(TryAgain):
    """The broker cannot verify service accounts' tokens now."""

    code = "keys_unavailable"


class KeyUnknown(BrokerError):
    """The broker does not know this key."""

    code = "key_unknown"


class ScopeMissing(BrokerError):
    """The key may not do that, or not for this client."""

    code = "scope_missing"


class UserUnknown(BrokerError):
    """The broker has no such user."""

    code = "user_unknown"


class GrantDead(BrokerError):
    """The user must be created or enrolled again: upstream accepts nothing of theirs any more."""

    code = "grant_dead"


class GrantPaused(BrokerError):
    """The user is paused."""

    code = "grant_paused"


class Conflict(BrokerError):
    """The request does not fit how the user stands."""

    code = "conflict"


class Invalid(BrokerError):
    """A value in the request cannot be used; `fields` says which, and why."""

    code = "invalid"


class MinTtlTooLong(Invalid):
    """More life was asked for than half a token's lifetime."""

    code = "min_ttl_too_long"


_BY_CODE: dict[str, type[BrokerError]] = {
    kind.code: kind
    for kind in (
        *(TooManyRequests, UpstreamUnavailable, StorageUnavailable, RefreshInProgress, KeysUnavailable),
        *(KeyUnknown, ScopeMissing, UserUnknown, GrantDead, GrantPaused, Conflict, Invalid, MinTtlTooLong),
    )
}
_BY_STATUS: dict[int, type[BrokerError]] = {
    401: KeyUnknown,
    403: ScopeMissing,
    409: Conflict,
    422: Invalid,
    429: TooManyRequests,
    503: TryAgain,
}


def error_class(code: str, status: int) -> type[BrokerError]:
    """Return the class of a problem: by its code, or, of a later release's code, by its status."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status, BrokerError)
