"""Reads tokens, pairs and users out of Cal.com's values: total functions, None for what is unusable.

Verifies nothing and trusts nothing; does no I/O. Numbers that cannot be instants become None.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import orjson

from service.broker.model import MintedPair, Stated, UpstreamUser

USABLE_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{20,4096}")
USABLE_ID = re.compile(r"[1-9][0-9]{0,18}")
_ID_END = 10**19

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Mapping[str, object] = {}


def fields(value: object) -> Mapping[str, object]:
    """Return the fields of a JSON object; an empty mapping for anything else."""
    return value if isinstance(value, dict) else _NOTHING


def identifier(value: object) -> str | None:
    """Return an upstream id, number or string of digits, as a string."""
    if isinstance(value, int) and 0 < value < _ID_END and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and USABLE_ID.fullmatch(value) else None


def instant(value: object, unit: timedelta) -> datetime | None:
    """Return the instant so many units after the epoch; only positive whole numbers count."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    try:
        return _EPOCH + value * unit
    except OverflowError:
        return None


_SECONDS = timedelta(seconds=1)
_MILLISECONDS = timedelta(milliseconds=1)


def claims(token: str) -> Mapping[str, object]:
    """Return the payload of a JSON web token, unverified; empty when there is none to read."""
    parts = token.split(".")
    if len(parts) != 3 or not USABLE_TOKEN.fullmatch(token):  # noqa: PLR2004 -- header.payload.signature
        return _NOTHING
    payload = parts[1].rstrip("=")
    try:
        return fields(orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (ValueError, RecursionError):  # binascii.Error and JSONDecodeError are ValueErrors
        return _NOTHING


def describe(access_token: str, client_id: str | None = None) -> Stated:
    """Read what an access token says of itself: `iat` and `exp` in seconds, `expiresAt` in ms.

    With `client_id`, also whether it names another OAuth client; one that names none may be this one's.
    """
    stated = claims(access_token)
    theirs = stated.get("clientId")
    return Stated(
        owner_id=identifier(stated.get("ownerId")) or identifier(stated.get("userId")),
        issued_at=instant(stated.get("iat"), _SECONDS),
        ends_at=_end(stated),
        other_client=client_id is not None and isinstance(theirs, str) and theirs != client_id,
    )


def _end(stated: Mapping[str, object]) -> datetime | None:
    return instant(stated.get("expiresAt"), _MILLISECONDS) or instant(stated.get("exp"), _SECONDS)


def pair(data: object) -> MintedPair | None:
    """Return the pair in an answer's data; the answer's own ends win over the tokens' claims."""
    given = fields(data)
    access, refresh = _token(given.get("accessToken")), _token(given.get("refreshToken"))
    if access is None or refresh is None or access == refresh:
        return None
    said = describe(access)
    return MintedPair(
        access_token=access,
        refresh_token=refresh,
        stated=Stated(
            owner_id=said.owner_id,
            issued_at=said.issued_at,
            ends_at=instant(given.get("accessTokenExpiresAt"), _MILLISECONDS) or said.ends_at,
            refresh_token_ends_at=instant(given.get("refreshTokenExpiresAt"), _MILLISECONDS)
            or _end(claims(refresh)),
        ),
    )


def _token(value: object) -> str | None:
    return value if isinstance(value, str) and USABLE_TOKEN.fullmatch(value) else None


def user(data: object, client_id: str) -> UpstreamUser | None:
    """Return a managed user with its e-mail in the app's form; None without an id and an e-mail."""
    given = fields(data)
    upstream_id, email = identifier(given.get("id")), given.get("email")
    if upstream_id is None or not isinstance(email, str) or "@" not in email:
        return None
    return UpstreamUser(upstream_id, app_email(email, client_id), _moment(given.get("createdDate")))


def app_email(email: str, client_id: str) -> str:
    """Undo Cal.com's `local+<client id>@domain`; any other address comes back as it is."""
    local, _, domain = email.rpartition("@")
    suffix = f"+{client_id}"
    if local.lower().endswith(suffix.lower()):
        local = local[: -len(suffix)]
    return f"{local}@{domain}"


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
