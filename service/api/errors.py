"""Turns what went wrong into problem details (RFC 9457): one table from code to status.

Holds the doors' own errors beside the broker's. Never puts into an answer what the caller sent.
"""

from __future__ import annotations

import math
from http import HTTPStatus

import orjson

from service.api.answer import Answer, header_block
from service.broker.errors import BrokerError, Invalid, TokenUnknown


class BearerMissing(BrokerError):
    """No token was presented: send the access token you hold as "Authorization: Bearer <token>"."""

    code = "bearer_missing"


class BearerMalformed(BrokerError):
    """The token must be presented once, as "Authorization: Bearer <token>", and nowhere else."""

    code = "bearer_malformed"


class OriginRefused(BrokerError):
    """Pages of this origin may not ask here: add the origin to the allowed origins if they should."""

    code = "origin_refused"


class SessionMismatch(BrokerError):
    """The app says that another user is signed in than the one this token belongs to."""

    code = "session_mismatch"


class KeyUnknown(BrokerError):
    """Nobody is known here by this key or token: check it, and that the settings list its caller."""

    code = "key_unknown"


class KeyMissing(KeyUnknown):
    """Nothing says who calls: send "Authorization: Bearer <API key, or service account's token>"."""


class ScopeMissing(BrokerError):
    """The caller may not do that: it lacks the scope that the call needs."""

    code = "scope_missing"


class Malformed(BrokerError):
    """The request cannot be read."""

    code = "malformed"


class NotServed(Malformed):
    """Only HTTP/1.1 and HTTP/1.0 are served here, and the request target must be a path."""


class BodyBroken(Malformed):
    """The body broke off or was not framed as HTTP."""


class RouteUnknown(BrokerError):
    """There is nothing at this address."""

    code = "not_found"


class MethodRefused(BrokerError):
    """The address does not answer to this method."""

    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        """Keep the methods that are answered, as the Allow header names them."""
        super().__init__()
        self.allowed = allowed


class TooLarge(BrokerError):
    """The body is larger than any request here needs: at most 16 KiB are read."""

    code = "too_large"


class MediaTypeRefused(BrokerError):
    """The body must be sent as application/json in UTF-8, uncompressed."""

    code = "unsupported_media_type"


class BodyTooSlow(BrokerError):
    """The body did not arrive in time."""

    code = "request_timeout"


class Internal(BrokerError):
    """Something went wrong here that should not have: its trace is in the log under this request's id."""

    code = "internal"


STATUS: dict[str, int] = {
    "malformed": 400,
    "bearer_malformed": 400,
    "bearer_missing": 401,
    "token_unknown": 401,
    "key_unknown": 401,
    "origin_refused": 403,
    "session_mismatch": 403,
    "scope_missing": 403,
    "not_found": 404,
    "user_unknown": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "conflict": 409,
    "exists_upstream": 409,
    "grant_dead": 409,
    "grant_paused": 409,
    "grant_live": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "min_ttl_too_long": 422,
    "too_many_requests": 429,
    "internal": 500,
    "upstream_unavailable": 503,
    "storage_unavailable": 503,
    "refresh_in_progress": 503,
    "session_unavailable": 503,
    "keys_unavailable": 503,
}

_CHALLENGES: dict[type[BrokerError], str] = {
    BearerMissing: "Bearer",
    KeyMissing: "Bearer",
    BearerMalformed: 'Bearer error="invalid_request"',
    TokenUnknown: 'Bearer error="invalid_token"',
    KeyUnknown: 'Bearer error="invalid_token"',
    ScopeMissing: 'Bearer error="insufficient_scope"',
}

_CLOSING = frozenset({408, 413})
"""After these the rest of the body is not worth waiting for. What follows CONNECT, another version or a
broken body cannot be read as what it may be either."""

RETRY_AFTER_S = 15
"""Said with 429 and 503 when the error itself names no time."""


def problem(error: BrokerError, *, empty_token: bool) -> Answer:
    """Return the error as problem details; with `empty_token` the body also has `"accessToken": ""`.

    The browser library reads nothing but `accessToken`, whatever the status.
    """
    status = STATUS.get(error.code, 500)
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.fields:
        body["errors"] = [{"field": name, "message": message} for name, message in error.fields.items()]
    if empty_token:
        body["accessToken"] = ""
    return Answer(
        status,
        orjson.dumps(body),
        content_type="application/problem+json",
        headers=_headers(error, status),
        close=status in _CLOSING or isinstance(error, (NotServed, BodyBroken)),
    )


def _headers(error: BrokerError, status: int) -> bytes:
    pairs: list[tuple[str, str]] = []
    if challenge := _CHALLENGES.get(type(error)):
        pairs.append(("WWW-Authenticate", challenge))
    if isinstance(error, MethodRefused):
        pairs.append(("Allow", error.allowed))
    if status in {429, 503}:
        seconds = RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        pairs.append(("Retry-After", str(max(1, math.ceil(seconds)))))
    return header_block(pairs)
