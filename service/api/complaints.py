"""Says in plain words, and by the names the caller used, which fields of a request are wrong.

Never repeats a value; names that the caller made up are cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

LONGEST_NAME = 64

_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not a field of this request",
    "string_type": lambda _: "must be text",
    "int_type": lambda _: "must be a whole number",
    "bool_type": lambda _: "must be true or false",
    "dict_type": lambda _: "must be an object",
    "model_type": lambda _: "must be an object",
    "literal_error": lambda facts: f"must be one of {facts['expected']}",
    "string_too_long": lambda facts: f"must have at most {facts['max_length']} characters",
    "string_too_short": lambda facts: f"must have at least {facts['min_length']} characters",
    "greater_than_equal": lambda facts: f"must be at least {facts['ge']}",
    "less_than_equal": lambda facts: f"must be at most {facts['le']}",
    "value_error": lambda facts: str(facts["error"]),
}


def complaints(error: ValidationError) -> dict[str, str]:
    """Return a message for every wrong field, one a field."""
    found: dict[str, str] = {}
    for wrong in error.errors(include_url=False, include_input=False):
        words = _WORDS.get(wrong["type"])
        message = words(wrong.get("ctx", {})) if words else wrong["msg"]
        found.setdefault(_name(wrong["loc"]), message)
    return found


def _name(path: tuple[int | str, ...]) -> str:
    name = ".".join(str(step) for step in path) or "body"
    return "".join(character if character.isprintable() else "?" for character in name[:LONGEST_NAME])
