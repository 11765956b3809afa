"""Lists every setting as people need to know it: for `--help`, and for the page docs/configuration.md.

Reads what stands beside the fields and adds nothing to it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from service.settings.fields import SECRETS, Form, Role, env_name
from service.settings.model import Values

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Described:
    """One setting; `default` is empty where there is none. A secret may also come from `name`_FILE."""

    name: str
    form: str
    default: str
    example: str
    meaning: str
    roles: tuple[Role, ...]
    secret: bool


def described_settings() -> dict[str, Described]:
    """Return every setting by its name: the secrets, then the others in their order."""
    return {setting.name: setting for setting in (*_secrets(), *_values())}


def settings_text(role: Role) -> str:
    """Return the settings this role acts on, for a terminal."""
    lines = ["settings (environment variables; a secret X may be in a file, named by X_FILE):"]
    for setting in described_settings().values():
        if role in setting.roles:
            default = f"  [{setting.default}]" if setting.default else ""
            lines += [f"  {setting.name}{default}", textwrap.indent(_wrapped(setting.meaning), " " * 6)]
    return "\n".join(lines)


def _wrapped(meaning: str) -> str:
    return textwrap.fill(meaning.replace("`", ""), _WIDTH)


def _secrets() -> Iterator[Described]:
    for field, secret in SECRETS.items():
        yield Described(
            env_name(field), secret.form, "", secret.example, secret.meaning, secret.roles, secret=True
        )


def _values() -> Iterator[Described]:
    for name, field in Values.model_fields.items():
        example = str((field.examples or [""])[0])
        extra = cast("dict[str, Any]", field.json_schema_extra)
        yield Described(
            env_name(name),
            _form(field),
            _default(field.default, example),
            example,
            field.description or "",
            tuple(extra["roles"]),
            secret=False,
        )


def _form(field: FieldInfo) -> str:
    """Return how a value is written: the words beside its parser, or the words that it may be."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(field.annotation))
    # What may be left out is a union, and what its member was annotated with stays with the member.
    inner = [note for part in get_args(field.annotation) for note in getattr(part, "__metadata__", ())]
    return next(note.words for note in (*field.metadata, *inner) if isinstance(note, Form))


def _default(value: object, example: str) -> str:
    """Return a default as the settings read it; a duration's is its example."""
    if value is None or value == ():
        return ""
    if isinstance(value, timedelta):
        return example
    return str(value).lower()
