"""Gives each call of the HTTP reference its example: made from what the OpenAPI document says of it.

A value stands here under its field's name. What is not named gets one of its schema's own, so that no call
is without an example; tests/docs/test_http_page.py runs every one of them.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from docs.forms import Schema, named, resolved

OLD, NEW, UNUSED = (f"eyJhbGciOiJIUzI1NiJ9.e30.{name}-example" for name in ("refused", "current", "refresh"))
ISSUED, STALE, ENDS = "2026-01-01T12:00:00Z", "2026-01-01T12:48:00Z", "2026-01-01T13:00:00Z"
ENDS_MS, GENERATION = 1767272400000, 1767268800000

VALUES: dict[str, Any] = {
    "accessToken": NEW,
    "accessTokenExpiresAt": ENDS_MS,
    "actor": "app",
    "address": "10.0.0.7",
    "at": ISSUED,
    "calUserId": 1001,
    "client": "default",
    "createdAt": "2025-11-03T09:30:00Z",
    "dependencies": {"postgres": "up", "redis": "up"},
    "email": "ada@example.com",
    "event": "token.read",
    "expiresAt": ENDS,
    "generation": GENERATION,
    "id": "42",
    "issuedAt": ISSUED,
    "lastUsedAt": "2026-01-01T12:00:02Z",
    "metadata": {"plan": "pro"},
    "name": "Ada",
    "outcome": "ok",
    "reason": "created",
    "refreshAt": STALE,
    "refreshToken": UNUSED,
    "refused": OLD,
    "state": "LIVE",
    "requestId": "5f2c9a4e1b7d4c63",
    "timeFormat": 24,
    "timeZone": "Europe/London",
    "weekStart": "Monday",
}
KINDS = {str: "string", bool: "boolean", int: "integer", dict: "object"}
OF_A_SHAPE: dict[tuple[str, str], Any] = {
    ("CallerView", "name"): "app",
    ("CallerView", "scopes"): ["users:read"],
    ("CallerView", "clients"): ["default"],
    ("EventView", "reason"): None,
    ("EventView", "count"): 1,
}
ALSO_SENT = {("NewUser", "timeZone"), ("ProfileToChange", "timeZone"), ("RefreshAsked", "refused")}
"""Fields that may be left out and are not."""
ALSO_ASKED = {"min_ttl": "120", "state": "DEAD", "kind": "exchange"}


def answer_of(name: str, shapes: Schema) -> dict[str, Any]:
    """Return an example of a shape with all of its fields."""
    fields: Schema = shapes[name]["properties"]
    return {field: _value(name, field, schema, shapes) for field, schema in fields.items()}


def body_of(name: str, shapes: Schema) -> dict[str, Any]:
    """Return an example of a body: what has to be sent, and a little of what may be."""
    shape = shapes[name]
    needed = shape.get("required", [])
    sent = [*needed, *(field for field in shape["properties"] if (name, field) in ALSO_SENT)]
    return {field: _value(name, field, shape["properties"][field], shapes) for field in sent}


def _value(name: str, field: str, schema: Schema, shapes: Schema) -> Any:  # noqa: ANN401 - any JSON value
    if (name, field) in OF_A_SHAPE:
        return OF_A_SHAPE[name, field]
    named_so = VALUES.get(field)
    return named_so if KINDS.get(type(named_so)) in _kinds(schema, shapes) else _any(schema, shapes)


def _kinds(schema: Schema, shapes: Schema) -> set[str]:
    """Return the kinds of value that fit; an object of ours is none that stands here."""
    choices = [resolved(choice, shapes) for choice in schema.get("anyOf", [schema])]
    return {str(choice.get("type")) for choice in choices if "properties" not in choice}


def _any(schema: Schema, shapes: Schema) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that fits: null where that is allowed, unless it is a shape of ours."""
    choices = schema.get("anyOf", [schema])
    ours = next((named(choice) for choice in choices if "properties" in resolved(choice, shapes)), "")
    if ours:
        return answer_of(ours, shapes)
    if {"type": "null"} in choices:
        return None
    one = resolved(choices[0], shapes)
    if "const" in one or "enum" in one:
        return one["const"] if "const" in one else one["enum"][0]
    if one.get("type") == "array":
        return [_any(one["items"], shapes)]
    if one.get("format") == "date-time":
        return ISSUED
    plain = {"integer": one.get("minimum", 0), "number": 0, "boolean": False, "object": {}}
    return plain.get(one.get("type", ""), "...")


def commands(method: str, path: str, operation: Schema, document: Schema, where: str, who: str) -> list[str]:
    """Return the command for each body that the call takes; `where` and `who` are the shell's variables."""
    shapes: Schema = document["components"]["schemas"]
    schema: Schema = (
        operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    )
    bodies = [body_of(named(one), shapes) for one in schema.get("anyOf", [schema])] if schema else [{}]
    secured = operation.get("security", document["security"])
    head = _curl(method, path, operation, where) + (f' -H "Authorization: Bearer ${who}"' if secured else "")
    return [head + _sent(body) for body in bodies]


def _curl(method: str, path: str, operation: Schema, where: str) -> str:
    names = [parameter["name"] for parameter in operation.get("parameters", ())]
    query = urlencode({name: ALSO_ASKED[name] for name in names if name in ALSO_ASKED})
    address = f'"${where}{path.replace("{id}", "42")}{"?" if query else ""}{query}"'
    if method == "options":
        asks = "-H 'Origin: https://app.example.com' -H 'Access-Control-Request-Method: GET'"
        return f"curl -sS -i -X OPTIONS {address} {asks}"
    return f"curl -sS {'' if method == 'get' else f'-X {method.upper()} '}{address}"


def _sent(body: dict[str, Any]) -> str:
    if not body:
        return ""
    return f" -H 'Content-Type: application/json' \\\n     -d '{json.dumps(body)}'"
