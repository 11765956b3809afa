"""Decides what an exchange with Cal.com means: one table of (call, status, code, message prefix).

Pure: no I/O, no clock, no aiohttp. What the table does not know is Unknown, which destroys nothing;
every word in an outcome is ours, for upstream's bodies echo tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from service.adapters.upstream.exchange import Answer, Exchange, Lost, NotSent, Withheld
from service.broker.model import HELD_BACK, Denial, Denied, Unavailable, Unknown

T = TypeVar("T")
Refusal = Denied | Unavailable | Unknown


class Call(StrEnum):
    """A call to upstream: the label `call` of the metrics."""

    REFRESH = "refresh"
    RECOVER = "recover"
    CHECK = "check"
    PROBE = "probe"
    CREATE = "create"
    FIND = "find"
    READ = "read"
    CHANGE = "change"
    DELETE = "delete"


READS = frozenset({Call.CHECK, Call.PROBE, Call.FIND, Call.READ})
"""The calls that change nothing upstream: not to have their answer costs nothing."""

SECRET_WRONG = "the client secret is wrong"
CREDENTIALS_REFUSED = "the client credentials were refused"
_OF_THE_SECRET = frozenset({SECRET_WRONG, CREDENTIALS_REFUSED})

_ALL = frozenset(Call)
_OF_ONE_USER = frozenset({Call.RECOVER, Call.READ, Call.CHANGE, Call.DELETE})
_OF_A_PROFILE = frozenset({Call.CREATE, Call.CHANGE})


@dataclass(frozen=True, slots=True)
class _Row:
    """One kind of refusal: these calls, this status, a code if one is known, a message beginning so."""

    calls: frozenset[Call]
    status: int
    code: str | None
    message: str
    denial: Denial
    detail: str

    def meets(self, call: Call, status: int, code: str | None, message: str) -> bool:
        return (
            call in self.calls
            and status == self.status
            and self.code in {None, code}
            and message.startswith(self.message)
        )


def _rows(
    status: int, code: str | None, denial: Denial, calls: frozenset[Call], texts: Mapping[str, str]
) -> list[_Row]:
    return [_Row(calls, status, code, message, denial, detail) for message, detail in texts.items()]


_ROWS: tuple[_Row, ...] = (
    *_rows(400, "BadRequestException", Denial.REFRESH_TOKEN_DEAD, frozenset({Call.REFRESH}), {
        "Invalid refresh token": "the refresh token is unknown or spent",
    }),
    # Two presentations at once: the loser's read saw the token, its delete did not.
    *_rows(404, "NOT_FOUND", Denial.REFRESH_TOKEN_DEAD, frozenset({Call.REFRESH}), {
        "Invalid Query": "the refresh token was spent a moment ago",
    }),
    *_rows(404, "NotFoundException", Denial.USER_GONE, _OF_ONE_USER, {
        "User with ID": "the user is not one of this OAuth client",
    }),
    *_rows(401, "UnauthorizedException", Denial.TOKEN_REFUSED, frozenset({Call.CHECK}), {
        "Invalid Access Token": "the access token is unknown",
        "ApiAuthStrategy - access token - OAuth client not found given the access token":
            "the access token is unknown",
    }),
    *_rows(498, None, Denial.TOKEN_REFUSED, frozenset({Call.CHECK}), {"": "the access token has expired"}),
    *_rows(409, "CONFLICT", Denial.EXISTS, _OF_A_PROFILE, {"": ""}),
    *_rows(409, "ConflictException", Denial.EXISTS, _OF_A_PROFILE, {"User with the provided e-mail": ""}),
    # One user's address must not stop the whole client.
    *_rows(400, "BadRequestException", Denial.INVALID, frozenset({Call.FIND}), {
        "Invalid email": "email",
        "emails cannot be empty": "email",
    }),
    *_rows(401, "UnauthorizedException", Denial.CLIENT_FAULT, _ALL, {
        "ApiAuthStrategy - oAuth client - Invalid client secret": SECRET_WRONG,
        "ApiAuthStrategy - oAuth client - Client with ID": "the client id is unknown",
        "ApiAuthStrategy - oAuth client - No": "the client's organization has no owner",
        "ApiAuthStrategy - oAuth client -": CREDENTIALS_REFUSED,
        "ApiAuthStrategy - Only 'x-cal-client-id' header": "the client secret did not arrive",
        "ApiAuthStrategy - No authentication method": "no credentials arrived",
        "ApiAuthStrategy - access token - Invalid request origin":
            "an Origin header was added on the way and is not one of the client's redirect URIs",
        "CustomThrottlerGuard - Invalid API Key": "an Authorization header was added on the way",
    }),
    *_rows(400, "BadRequestException", Denial.CLIENT_FAULT, _ALL, {
        "Invalid OAuthClient credentials": CREDENTIALS_REFUSED,
        "You cannot create a managed user outside of an organization":
            "the client does not belong to an organization",
        "Validation failed": "upstream does not accept what the broker sends",
    }),
    *_rows(403, "ForbiddenException", Denial.CLIENT_FAULT, _ALL, {
        "OrganizationRolesGuard - Organization is not a platform":
            "the client's organization is no longer a platform",
        "OrganizationRolesGuard -": "the client's organization may not do this",
        "OAuthClientGuard -": "the client may not do this",
        "PermissionsGuard -": "the client lacks a permission",
    }),
    *_rows(404, "NotFoundException", Denial.CLIENT_FAULT, _ALL, {
        "OAuthClientGuard -": "the client id is unknown",
    }),
    *_rows(404, None, Denial.CLIENT_FAULT, _ALL, {
        f"Cannot {method} /": "upstream has no such route: check the API URL"
        for method in ("GET", "POST", "PATCH", "DELETE")
    }),
)  # fmt: skip

_EXISTING_ID = re.compile(r"Existing user ID=([1-9][0-9]{0,18})(?![0-9])", re.ASCII)
_PROFILE_FIELDS = frozenset({
    "email", "name", "timeZone", "timeFormat", "weekStart", "locale", "avatarUrl", "bio", "metadata",
})  # fmt: skip

TOO_MANY = 429
RESET_HEADERS = ("x-ratelimit-reset-default", "retry-after")
LEAST_RETRY_S = 1.0
MOST_RETRY_S = 300.0
_WHOLE_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def judge(call: Call, exchange: Exchange, decode: Callable[[Mapping[str, object]], T | None]) -> T | Refusal:
    """Return what the exchange means; `decode` reads a 2xx body and returns None if it is no use."""
    match exchange:
        case NotSent(reason):
            return Unavailable(f"not sent: {reason}")
        case Withheld():
            return HELD_BACK
        case Lost(reason):
            return _no_answer(call, f"answer lost: {reason}")
        case Answer():
            return _judge_answer(call, exchange, decode)


def refuses_secret(outcome: object) -> bool:
    """Whether upstream refused the secret itself: it looks at that first, so nothing was done or spent."""
    return (
        isinstance(outcome, Denied)
        and outcome.code is Denial.CLIENT_FAULT
        and outcome.detail in _OF_THE_SECRET
    )


def _judge_answer(
    call: Call, answer: Answer, decode: Callable[[Mapping[str, object]], T | None]
) -> T | Refusal:
    if answer.status == TOO_MANY:
        return Unavailable("upstream says too many requests", _retry_after_s(answer.headers))
    if not isinstance(answer.body, dict) or not _speaks(answer.status):
        return _no_answer(call, f"status {answer.status}, no definitive answer")
    if answer.status < 300:  # noqa: PLR2004 -- the 2xx of RFC 9110 section 15.3
        decoded = decode(answer.body)
        return Unknown(f"status {answer.status}, without what was asked for") if decoded is None else decoded
    return _refusal(call, answer.status, answer.body)


def _speaks(status: int) -> bool:
    """Whether a JSON body under this status is Cal.com's own word: 2xx or 4xx, 408 apart."""
    return 200 <= status < 300 or (400 <= status < 500 and status != 408)  # noqa: PLR2004 -- RFC 9110 classes


def _no_answer(call: Call, reason: str) -> Unavailable | Unknown:
    return Unavailable(reason) if call in READS else Unknown(reason)


def _refusal(call: Call, status: int, body: Mapping[str, object]) -> Denied | Unknown:
    code, message, details = _envelope(body)
    if status == 400 and isinstance(details.get("errors"), list):  # noqa: PLR2004 -- the status of validation
        return _invalid(call, details["errors"])
    for row in _ROWS:
        if row.meets(call, status, code, message):
            detail = _existing_id(message) if row.denial is Denial.EXISTS else row.detail
            return Denied(row.denial, detail)
    return Unknown(f"status {status}, not recognized")


def _envelope(body: Mapping[str, object]) -> tuple[str | None, str, Mapping[str, object]]:
    """Return code, message and details of Cal.com's envelope, or of its framework's bare one."""
    error = body.get("error")
    inner: Mapping[str, object] = error if isinstance(error, dict) else body
    code, message, details = inner.get("code"), inner.get("message"), inner.get("details")
    return (
        code if isinstance(code, str) else None,
        message if isinstance(message, str) else "",
        details if isinstance(details, dict) else {},
    )


def _invalid(call: Call, errors: object) -> Denied:
    if call not in _OF_A_PROFILE:
        return Denied(Denial.CLIENT_FAULT, "upstream does not accept what the broker sends")
    found = errors if isinstance(errors, list) else []
    properties = [error.get("property") for error in found if isinstance(error, dict)]
    return Denied(Denial.INVALID, ",".join(name for name in sorted(_PROFILE_FIELDS) if name in properties))


def _existing_id(message: str) -> str:
    stated = _EXISTING_ID.search(message)
    return stated[1] if stated else ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds upstream states, within [LEAST_RETRY_S, MOST_RETRY_S]; None if it states none."""
    for name in RESET_HEADERS:
        if _WHOLE_SECONDS.fullmatch(headers.get(name, "")):
            return min(max(float(headers[name]), LEAST_RETRY_S), MOST_RETRY_S)
    return None
