"""Writes what a JSON schema asks of a value in a few words, and tables in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from service.api.errors import STATUS

Schema = dict[str, Any]

FORMATS = {"date-time": "instant (RFC 3339)", "email": "e-mail address", "uri": "URL"}
SAID_OF_TEXT = {"maxLength": "{} characters at most", "pattern": "`{}`"}
SAID_OF_OTHERS = {"minimum": "from {}", "maximum": "to {}", "maxProperties": "{} keys at most"}


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return the rows as a table, the first as its head."""
    head, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, re.sub(r"[^|]+", "---", head), *others])


def named(schema: Schema) -> str:
    """Return the name of the shape that a schema refers to, or nothing."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def resolved(schema: Schema, shapes: Schema) -> Schema:
    """Return the schema that a reference leads to, or the schema itself."""
    name = named(schema)
    resolved_schema: Schema = shapes[name] if name else schema
    return resolved_schema


def form(schema: Schema, shapes: Schema) -> str:
    """Return how a value is written, fit for a cell of a table."""
    default = f"; default `{json.dumps(schema['default'])}`" if "default" in schema else ""
    return (_form(schema, shapes) + default).replace("|", "\\|")


def _form(schema: Schema, shapes: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_form(choice, shapes) for choice in schema["anyOf"])
    one = resolved(schema, shapes)
    if "properties" in one:
        fields = ", ".join(f"`{field}`" for field in one["properties"])
        return f"[{named(schema)}](#{named(schema).lower()})" if named(schema) else f"object of {fields}"
    values = [one["const"]] if "const" in one else one.get("enum", ())
    if len(values) == len(STATUS):
        return "one of the [codes](#codes)"
    if values:
        return ", ".join(
            f"`{value if value and isinstance(value, str) else json.dumps(value)}`" for value in values
        )
    if one["type"] == "array":
        return f"list of {_form(one['items'], shapes)}"
    return _plain(one)


def _plain(schema: Schema) -> str:
    if schema["type"] != "string":
        said = [words.format(schema[key]) for key, words in SAID_OF_OTHERS.items() if key in schema]
        return " ".join([f"{schema['type']}{',' if said else ''}", *said])
    said = [words.format(schema[key]) for key, words in SAID_OF_TEXT.items() if key in schema]
    return ", ".join([FORMATS.get(schema.get("format", ""), "text"), *said])
