"""What upstream accepts as input: bodies, ids, pages and e-mail filters, refused in its validator's words.

Pure; each reader returns column values or raises a Refusal. Never imports the doors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sandbox.calcom import errors
from sandbox.calcom.rules import CREATE, UPDATE, Rule, String, violations

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}"
)
_INTEGER = re.compile(r"-?\d+")
_COLUMNS = {
    "timeFormat": "time_format",
    "weekStart": "week_start",
    "timeZone": "time_zone",
    "avatarUrl": "avatar_url",
    "defaultScheduleId": "default_schedule_id",
}
MAX_LIMIT = 250
DEFAULT_LIMIT = 50


def parse_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the body as the JSON or form parser of Express yields it; no such body is an empty object."""
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type != "application/json" or not body:
        return {}
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(_syntax_message(body)) from error
    if not isinstance(parsed, dict | list):
        raise errors.bad_request(_syntax_message(body))
    return parsed if isinstance(parsed, dict) else {}


def _syntax_message(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    if text.startswith(("{", "[")):
        return "Unexpected end of JSON input"
    return f"Unexpected token '{text[:1]}', \"{text[:10]}\" is not valid JSON"


def read_fields(given: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Return the known fields that were given, transformed; raises Refusal naming every wrong one."""
    known = {name: rules[name].transform(given.get(name)) for name in rules if name in given}
    wrong = violations(known, rules)
    if wrong:
        raise errors.invalid(wrong)
    return known


def read_create(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a new user, its e-mail lower-case; null counts as absent."""
    columns = _to_columns(read_fields(given, CREATE))
    columns["email"] = columns["email"].lower()
    return {name: value for name, value in columns.items() if value is not None}


def read_update(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns to change."""
    return {
        name: value for name, value in _to_columns(read_fields(given, UPDATE)).items() if value is not None
    }


def read_string(given: Mapping[str, Any], name: str) -> str:
    """Return a required string field."""
    return str(read_fields(given, {name: String(required=True)})[name])


def _to_columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_COLUMNS.get(name, name): value for name, value in fields.items()}


def read_user_id(raw: str) -> int:
    """Return the path's user id as ParseIntPipe does."""
    if not _INTEGER.fullmatch(raw):
        raise errors.bad_request("Validation failed (numeric string is expected)")
    return int(raw)


def read_page(query: Mapping[str, str]) -> tuple[int, int]:
    """Return offset and limit."""
    wrong: list[dict[str, Any]] = []
    offset = _read_number(query, "offset", 0, (0, None), wrong)
    limit = _read_number(query, "limit", DEFAULT_LIMIT, (1, MAX_LIMIT), wrong)
    if wrong:
        raise errors.invalid(wrong)
    return offset, limit


def _read_number(
    query: Mapping[str, str],
    name: str,
    default: int,
    bounds: tuple[int, int | None],
    wrong: list[dict[str, Any]],
) -> int:
    raw = query.get(name)
    if raw is None:
        return default
    value = int(raw) if _INTEGER.fullmatch(raw.strip()) else None
    constraints: dict[str, str] = {}
    if value is None:
        constraints["isNumber"] = f"{name} must be a number conforming to the specified constraints"
    if value is None or value < bounds[0]:
        constraints["min"] = f"{name} must not be less than {bounds[0]}"
    if bounds[1] is not None and (value is None or value > bounds[1]):
        constraints["max"] = f"{name} must not be greater than {bounds[1]}"
    if constraints:
        echo = {
            "target": dict(query),
            "value": raw,
            "property": name,
            "children": [],
            "constraints": constraints,
        }
        wrong.append(echo)
    return value or 0


def read_emails(query: Mapping[str, str]) -> list[str] | None:
    """Return the e-mails of the filter, or None without one; the first invalid one is refused by name."""
    raw = query.get("emails")
    if raw is None:
        return None
    emails = [email.strip() for email in raw.split(",")]
    for email in emails:
        if not _EMAIL.fullmatch(email):
            raise errors.bad_request(f"Invalid email {email}")
    return emails
