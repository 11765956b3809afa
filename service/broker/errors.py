"""What the broker says when it cannot do as asked. The docstring is the message; `code` is stable.

No HTTP here: the doors map a code to their own form.
"""

from __future__ import annotations


class BrokerError(Exception):
    """The broker could not do this."""

    code = "error"

    def __init__(self, detail: str | None = None, *, retry_after_s: float | None = None) -> None:
        """Keep `detail` for people (default: the docstring) and when to try again, in seconds."""
        super().__init__(detail or self.__doc__)
        self.retry_after_s = retry_after_s


class TokenUnknown(BrokerError):
    """The token does not identify a user whose token may be refreshed."""

    code = "token_unknown"


class UserUnknown(BrokerError):
    """No such user under this client."""

    code = "user_unknown"


class Conflict(BrokerError):
    """The id or the e-mail address belongs to another user."""

    code = "conflict"


class ExistsUpstream(BrokerError):
    """A user with this e-mail exists upstream and was not created by this call: enrol or recover it."""

    code = "exists_upstream"


class GrantDead(BrokerError):
    """The user's grant is dead: the user must be created or enrolled again."""

    code = "grant_dead"


class GrantPaused(BrokerError):
    """The user is paused: resume it first."""

    code = "grant_paused"


class GrantLive(BrokerError):
    """The user already has a live pair: say replace=true to put this one in its place."""

    code = "grant_live"


class MinTtlTooLong(BrokerError):
    """More life was asked for than half a token's lifetime: no token can promise it."""

    code = "min_ttl_too_long"


class Invalid(BrokerError):
    """The request was understood and a value in it cannot be used."""

    code = "invalid"

    def __init__(self, detail: str | None = None, *, fields: dict[str, str] | None = None) -> None:
        """Keep which fields are wrong and why, by the names the caller used."""
        super().__init__(detail)
        self.fields = fields or {}


class TooManyRequests(BrokerError):
    """Too many refreshes were asked for: wait before asking again."""

    code = "too_many_requests"


class UpstreamUnavailable(BrokerError):
    """No live token is held and upstream cannot issue one now."""

    code = "upstream_unavailable"


class StorageUnavailable(BrokerError):
    """The database cannot be reached, so nothing may be rotated now."""

    code = "storage_unavailable"


class RefreshInProgress(BrokerError):
    """A refresh is under way and has not ended in time; it goes on: ask again."""

    code = "refresh_in_progress"


class SessionUnavailable(BrokerError):
    """Who is signed in at the app cannot be known now, so nothing is handed out: ask again."""

    code = "session_unavailable"


class KeysUnavailable(BrokerError):
    """The keys that tokens are verified by cannot be had now, so nobody is let in by one: ask again."""

    code = "keys_unavailable"


class SealBroken(BrokerError):
    """A stored secret cannot be opened: its key is missing or the value was altered."""

    code = "storage_unavailable"


class SealKeyMissing(SealBroken):
    """A stored secret was sealed under a key that is not in ENCRYPTION_KEYS."""
