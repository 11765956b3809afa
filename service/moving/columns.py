"""Tells which column of somebody's table is which field of a user, and turns values into the field's form.

Decides by names alone. What a value must be is the door's business: the models of `service.api` check it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import orjson

ALIASES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "userid", "externalid", "uuid"),
    "calUserId": ("caluserid", "calcomuserid", "calmanageduserid", "manageduserid", "calid", "calcomid",
                  "calatomsuserid"),
    "accessToken": ("accesstoken", "calaccesstoken", "calcomaccesstoken"),
    "refreshToken": ("refreshtoken", "calrefreshtoken", "calcomrefreshtoken"),
    "accessTokenExpiresAt": ("accesstokenexpiresat", "calaccesstokenexpiresat"),
    "refreshTokenExpiresAt": ("refreshtokenexpiresat", "calrefreshtokenexpiresat"),
    "email": ("email", "emailaddress"),
    "name": ("name", "fullname", "displayname"),
    "timeZone": ("timezone",),
    "timeFormat": ("timeformat",),
    "weekStart": ("weekstart",),
    "locale": ("locale",),
    "avatarUrl": ("avatarurl",),
    "bio": ("bio",),
    "metadata": ("calmetadata",),
}  # fmt: skip
"""The fields, and how columns that hold them are called (lower case, letters and digits only), best first."""

NEEDED = ("id", "accessToken", "refreshToken")
_PROFILE = frozenset(
    {"name", "timeZone", "timeFormat", "weekStart", "locale", "avatarUrl", "bio", "metadata"}
)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_SECONDS_END = 100_000_000_000
"""Read as seconds, this is the year 5138; read as milliseconds, 1973."""


class NoSuchColumn(ValueError):
    """A needed field has no column; the message says what to do."""


def parse_map(texts: Iterable[str]) -> dict[str, str]:
    """Read `field=column` texts; ValueError names the one that is none."""
    wanted: dict[str, str] = {}
    for text in texts:
        field, equals, column = text.partition("=")
        if not equals or not column or field not in ALIASES:
            raise ValueError(f"{text!r} is not field=column; the fields are {', '.join(ALIASES)}")
        if field in wanted:
            raise ValueError(f"{field} is given two columns")
        wanted[field] = column
    return wanted


def find_columns(columns: Iterable[str], wanted: Mapping[str, str], *, header: bool = True) -> dict[str, str]:
    """Return each field's column: the one it was given, else the one whose name comes first among the usual.

    Only a `header` must have every column that was given: an object may leave out what it has nothing for.
    """
    there = list(columns)
    for field, column in wanted.items():
        if column not in there and header:
            raise NoSuchColumn(f"there is no column {column!r} for {field}; there are {_listed(there)}")
    usual: dict[str, str] = {}
    for column in there:
        usual.setdefault(re.sub(r"[^a-z0-9]", "", column.lower()), column)
    found = {field: column for field, column in wanted.items() if column in there}
    for field, names in ALIASES.items():
        taken = next((usual[name] for name in names if name in usual), None)
        if field not in wanted and taken is not None and taken not in wanted.values():
            found[field] = taken
    for field in NEEDED:
        if field not in found:
            raise NoSuchColumn(
                f"no column looks like {field}: name it with --map {field}=COLUMN; there are {_listed(there)}"
            )
    return found


def fields_of(record: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, object]:
    """Return a row's fields in the form of the interface; empty cells are left out.

    Without an e-mail address there is no profile, and the rest of one is left out with it.
    """
    fields: dict[str, object] = {}
    for field, column in columns.items():
        value = record.get(column)
        value = value.strip() if isinstance(value, str) else value
        if value is not None and value != "":
            fields[field] = _CONVERT.get(field, _text)(value)
    if "email" not in fields:
        fields = {field: value for field, value in fields.items() if field not in _PROFILE}
    return fields


def _listed(columns: list[str]) -> str:
    return ", ".join(column[:60] for column in columns[:40]) or "none"


def _text(value: object) -> object:
    """Return what is not text in its usual spelling: a number or a UUID is an id as well."""
    usual = isinstance(value, int | Decimal | UUID) and not isinstance(value, bool)
    return str(value) if usual else value


def _number(value: object) -> object:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    return value


def _instant(value: object) -> object:
    """Return milliseconds since the epoch of a date, of seconds or of milliseconds."""
    value = _number(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(value.timestamp() * 1000)
    if isinstance(value, int) and 0 < value < _SECONDS_END:
        return value * 1000
    return value


def _object(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


_CONVERT = {
    "calUserId": _number,
    "timeFormat": _number,
    "accessTokenExpiresAt": _instant,
    "refreshTokenExpiresAt": _instant,
    "metadata": _object,
}
