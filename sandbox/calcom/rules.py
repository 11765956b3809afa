"""The validator rules of upstream's user inputs, with the messages class-validator makes of them.

Pure; never imports the state or the doors.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

LOCALES = (
    "ar", "ca", "de", "es", "eu", "he", "id", "ja", "lv", "pl", "ro", "sr", "th", "vi", "az", "cs", "el",
    "es-419", "fi", "hr", "it", "km", "nl", "pt", "ru", "sv", "tr", "zh-CN", "bg", "da", "en", "et", "fr",
    "hu", "iw", "ko", "no", "pt-BR", "sk", "ta", "uk", "zh-TW", "bn",
)  # fmt: skip
WEEK_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500
_URL = re.compile(
    r"(?:(?:https?|ftp)://)?(?:[^\s/@]+@)?(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::\d{1,5})?(?:[/?#]\S*)?"
)

Failure = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One field: what its value becomes before it is checked, and what is wrong with it."""

    required: bool = False

    def transform(self, value: object) -> object:
        """Return the value as class-transformer hands it to the validator."""
        return value

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        raise NotImplementedError


class String(Rule):
    """@IsString: any text, the empty one too."""

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        return None if isinstance(value, str) else ("isString", f"{name} must be a string")


class Number(Rule):
    """@IsNumber."""

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return None
        return "isNumber", f"{name} must be a number conforming to the specified constraints"


class TimeZone(Rule):
    """@IsTimeZone, with the name brought to the capitals of the IANA list."""

    def transform(self, value: object) -> object:
        """Return the IANA spelling of a known name."""
        return _zones().get(value.lower(), value) if isinstance(value, str) else value

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        if isinstance(value, str) and value.lower() in _zones():
            return None
        return "isTimeZone", f"{name} must be a valid IANA time-zone"


class Url(Rule):
    """@IsUrl: a host with a top-level domain."""

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        if isinstance(value, str) and _URL.fullmatch(value):
            return None
        return "isUrl", f"{name} must be a URL address"


class TimeFormat(Rule):
    """@IsIn([12, 24]) after Number(): the create route coerces."""

    def transform(self, value: object) -> object:
        """Return the value as a number where it reads as one."""
        if isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value):
            return int(value)
        return value

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        return None if value in (12, 24) else ("isIn", f"{name} must be a number either 12 or 24")


@dataclass(frozen=True, slots=True)
class OneOf(Rule):
    """@IsEnum or @IsIn: one of the listed values, type included."""

    values: tuple[str | int, ...] = ()
    constraint: str = "isEnum"

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        if not isinstance(value, bool | float) and isinstance(value, str | int) and value in self.values:
            return None
        listed = ", ".join(str(known) for known in self.values)
        return self.constraint, f"{name} must be one of the following values: {listed}"


class Metadata(Rule):
    """At most 50 keys of 40 characters; values are strings of 500 characters, booleans or numbers."""

    def failure(self, name: str, value: object) -> Failure | None:
        """Return the violated constraint and its message."""
        if not isinstance(value, dict):
            return "isObject", f"{name} must be an object"
        if len(value) <= METADATA_KEYS and all(_fits(key, item) for key, item in value.items()):
            return None
        return "ValidateMetadata", (
            "Metadata must have at most 50 keys, each key up to 40 characters. "
            "Values can be strings (up to 500 characters), numbers, or booleans."
        )


def _fits(key: str, value: object) -> bool:
    if len(key) > METADATA_KEY_LENGTH:
        return False
    return (
        len(value) <= METADATA_VALUE_LENGTH
        if isinstance(value, str)
        else isinstance(value, bool | int | float)
    )


@functools.cache
def _zones() -> dict[str, str]:
    return {zone.lower(): zone for zone in available_timezones()}


_SHARED: dict[str, Rule] = {
    "timeZone": TimeZone(),
    "locale": OneOf(values=LOCALES),
    "avatarUrl": Url(),
    "bio": String(),
    "metadata": Metadata(),
}
CREATE: dict[str, Rule] = {
    "email": String(required=True),
    "name": String(required=True),
    "timeFormat": TimeFormat(),
    "weekStart": String(),
    **_SHARED,
}
UPDATE: dict[str, Rule] = {
    "email": String(),
    "name": String(),
    "timeFormat": OneOf(values=(12, 24), constraint="isIn"),
    "defaultScheduleId": Number(),
    "weekStart": OneOf(values=WEEK_DAYS, constraint="isIn"),
    **_SHARED,
}


def violations(fields: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[dict[str, Any]]:
    """Return class-validator's errors, each echoing the whole target, as upstream does."""
    return list(_violations(fields, rules))


def _violations(fields: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterable[dict[str, Any]]:
    for name, rule in rules.items():
        value = fields.get(name)
        if value is None and not rule.required:
            continue
        failure = rule.failure(name, value)
        if failure is not None:
            echo = {"target": dict(fields), "property": name, "children": [], "constraints": dict([failure])}
            yield echo if value is None else {**echo, "value": value}
