"""What a single value in a request may be, and how it is shown in the interface's description.

A value that does not fit raises ValueError with words for the caller, never with the value. The lists
are those of Cal.com's contract, which checks some of them late and some not at all.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, ValidationInfo, WithJsonSchema

USER_ID_PATTERN = r"[A-Za-z0-9._:@|+=~-]{1,128}"
TOKEN_PATTERN = r"[A-Za-z0-9._~+/=-]{20,4096}"
MAX_INT4 = 2**31 - 1
MAX_SAFE_INT = 2**53 - 1
END_OF_TIME_MS = 253_402_300_799_000
LOCAL_PART_LIMIT = 64
ADDRESS_LIMIT = 254
METADATA_KEYS, METADATA_NAME, METADATA_TEXT = 50, 40, 500
MAX_URL = 2048

TIME_ZONES = frozenset((resources.files("tzdata") / "zones").read_text("ascii").split()) - {"Factory"}
"""The names of the pinned time zone data: constructing a zone also accepts files that are none."""

_USER_ID = re.compile(USER_ID_PATTERN)
_TOKEN = re.compile(TOKEN_PATTERN)
_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE
)
# Overrides and isolates of writing direction: they make a name look like another one.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BREAKS = frozenset("\n\r\t")


def check_user_id(value: str) -> str:
    """Accept the app's own user id: what a path segment can carry unharmed."""
    if not _USER_ID.fullmatch(value) or value in {".", ".."}:
        raise ValueError("must be 1 to 128 ASCII letters, digits or ._:@|+=~- (and not . or ..)")
    return value


def check_email(value: str, info: ValidationInfo) -> str:
    """Return the address normalized and in lower case, with room for what upstream appends to it."""
    try:
        email = validate_email(value, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise ValueError("must be a valid e-mail address") from None
    suffix = int((info.context or {}).get("email_suffix", 0))
    room = LOCAL_PART_LIMIT - suffix
    if len(email.rpartition("@")[0].encode()) > room:
        raise ValueError(f"must have at most {room} characters before the @ (upstream appends its client id)")
    if len(email.encode()) + suffix > ADDRESS_LIMIT:
        raise ValueError(f"must have at most {ADDRESS_LIMIT - suffix} characters")
    return email


def check_time_zone(value: str) -> str:
    """Accept a name of the IANA time zone list, exactly as it is spelled there."""
    if value not in TIME_ZONES:
        raise ValueError("must be an IANA time zone name such as Europe/Paris")
    return value


def check_line(value: str) -> str:
    """Accept one line of text that looks like what it is."""
    if not value.strip() or _has_controls(value, allowed=frozenset()):
        raise ValueError("must not be blank or hold control characters")
    return value


def check_text(value: str) -> str:
    """Accept text of several lines."""
    if _has_controls(value, allowed=_BREAKS):
        raise ValueError("must not hold control characters")
    return value


def _has_controls(value: str, allowed: frozenset[str]) -> bool:
    return any(
        character in _BIDI
        or (unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} and character not in allowed)
        for character in value
    )


def check_avatar_url(value: str) -> str:
    """Accept an https address with a public host name and without credentials."""
    try:
        parts = urlsplit(value)
        host, user, port = parts.hostname or "", parts.username, parts.port
    except ValueError:
        raise ValueError("must be an https URL") from None
    printable = value.isascii() and value.isprintable() and " " not in value
    if parts.scheme != "https" or not printable or user is not None or port == 0 or not _is_host(host):
        raise ValueError("must be an https URL with a host name and without credentials")
    return value


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_HOST.fullmatch(host))
    return False


def check_token(value: str) -> str:
    """Accept what can be a token at all."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be a token: 20 to 4096 ASCII letters, digits or ._~+/=-")
    return value


def check_time_format(value: object) -> int:
    """Accept the numbers 12 and 24, and nothing that merely equals them."""
    if type(value) is not int or value not in {12, 24}:
        raise ValueError("must be the number 12 or 24")
    return value


def check_metadata(value: object) -> dict[str, Any]:
    """Accept a flat object within upstream's limits."""
    if not isinstance(value, dict) or len(value) > METADATA_KEYS:
        raise ValueError(f"must be an object of at most {METADATA_KEYS} keys")
    for name, item in value.items():
        if not 1 <= len(name) <= METADATA_NAME or name == "__proto__" or _has_controls(name, frozenset()):
            raise ValueError(f"must have keys of 1 to {METADATA_NAME} characters without control characters")
        _check_item(item)
    return value


def _check_item(item: object) -> None:
    if isinstance(item, str):
        fits = len(item) <= METADATA_TEXT and not _has_controls(item, _BREAKS)
    elif isinstance(item, bool | int | float):
        fits = math.isfinite(item) and abs(item) <= MAX_SAFE_INT
    else:
        fits = False
    if not fits:
        raise ValueError(
            f"must have values that are booleans, numbers or texts of at most {METADATA_TEXT} characters"
        )


def instant_of_ms(value: int) -> datetime:
    """Return milliseconds since the epoch as an instant."""
    return datetime.fromtimestamp(value / 1000, UTC)


UserId = Annotated[
    str, AfterValidator(check_user_id), Field(json_schema_extra={"pattern": f"^{USER_ID_PATTERN}$"})
]
Email = Annotated[str, AfterValidator(check_email), Field(json_schema_extra={"format": "email"})]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(check_line)]
Bio = Annotated[str, StringConstraints(max_length=4096), AfterValidator(check_text)]
TimeZone = Annotated[
    str, AfterValidator(check_time_zone), Field(description="IANA name", examples=["Europe/London"])
]
TimeFormat = Annotated[
    int, PlainValidator(check_time_format), WithJsonSchema({"type": "integer", "enum": [12, 24]})
]
WeekStart = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
Locale = Literal[
    "ar", "ca", "de", "es", "eu", "he", "id", "ja", "lv", "pl", "ro", "sr", "th", "vi", "az", "cs", "el",
    "es-419", "fi", "hr", "it", "km", "nl", "pt", "ru", "sv", "tr", "zh-CN", "bg", "da", "en", "et", "fr",
    "hu", "iw", "ko", "no", "pt-BR", "sk", "ta", "uk", "zh-TW", "bn",
]  # fmt: skip
AvatarUrl = Annotated[
    str,
    StringConstraints(max_length=MAX_URL),
    AfterValidator(check_avatar_url),
    Field(json_schema_extra={"format": "uri"}),
]
Metadata = Annotated[
    dict[str, str | bool | int | float],
    PlainValidator(check_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": METADATA_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": METADATA_NAME},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": METADATA_TEXT},
                    {"type": "boolean"},
                    {"type": "number"},
                ]
            },
        }
    ),
]
CalUserId = Annotated[int, Field(ge=1, le=MAX_INT4, description="the user's id upstream")]
Token = Annotated[
    str,
    AfterValidator(check_token),
    Field(repr=False, json_schema_extra={"pattern": f"^{TOKEN_PATTERN}$", "writeOnly": True}),
]
EpochMs = Annotated[int, Field(ge=1, le=END_OF_TIME_MS, description="milliseconds since the epoch")]
