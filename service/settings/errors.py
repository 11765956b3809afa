"""What is wrong with the configuration, said once for all settings and without any setting's value.

Must import nothing of this program: every part of the settings reports through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_OWN_WORDS = {"missing": "is missing", "extra_forbidden": "is not a known name here"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One setting that cannot be used: its name, what is wrong with it, and what a good one looks like."""

    name: str
    what: str
    example: str = ""

    def __str__(self) -> str:
        """Put the problem on one line."""
        return f"{self.name}: {self.what}" + (f" (example: {self.example})" if self.example else "")


class ConfigurationError(Exception):
    """The settings cannot be used; its text has one line for each wrong setting, never a value."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep every problem, in the order they are to be read."""
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problems_of(error: ValidationError, model: type[BaseModel], name: Callable[[str], str]) -> list[Problem]:
    """Say what a validation found, field by field; `name` turns a field into what people call it."""
    problems: dict[str, Problem] = {}
    for found in error.errors(include_url=False, include_input=False):
        field = str(found["loc"][0])
        info = model.model_fields.get(field)
        example = str((info.examples or [""])[0]) if info else ""
        problems.setdefault(field, Problem(name(field), _reason(found), example))
    return list(problems.values())


def _reason(found: ErrorDetails) -> str:
    """Put one finding in words that fit behind the setting's name."""
    raised = found.get("ctx", {}).get("error")
    if isinstance(raised, ValueError):
        return str(raised)
    words = _OWN_WORDS.get(found["type"], found["msg"])
    return words.replace("Input should", "must").replace("String should", "must")
