"""Makes one line out of an event and its facts, and writes it: JSON for machines, text for people.

Must import nothing of this program but the rest of the logs.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

import orjson

from service.logs.failures import traced
from service.logs.redaction import Redactor

_LEVELS = {"exception": "error", "warn": "warning"}


class Render(Protocol):
    """Writes a line's facts, in their order, as bytes without a line break."""

    def __call__(self, facts: dict[str, object]) -> bytes:
        """Return the line."""


def as_json(facts: dict[str, object]) -> bytes:
    """Write one JSON object."""
    return orjson.dumps(facts)


def as_text(facts: dict[str, object]) -> bytes:
    """Write time, level and event in columns, the rest as name=value."""
    shown = dict(facts)
    head = f"{str(shown.pop('ts'))[11:23]} {shown.pop('level'):<7} {_shown(shown.pop('event'))}"
    rest = (f"{_shown(name)}={_shown(value)}" for name, value in shown.items())
    return " ".join([head, *rest]).encode("utf-8", "replace")


def _shown(value: object) -> str:
    """Write a value so that it is one word: quoted where it is not plain."""
    plain = isinstance(value, str) and value.isprintable() and value.isascii() and " " not in value
    return str(value) if plain and value else orjson.dumps(value).decode()


class LineMaker:
    """The last step of structlog's chain: everything that was said, redacted, as one line."""

    def __init__(self, render: Render, redactor: Redactor) -> None:
        """Write with `render` what `redactor` lets through."""
        self._render = render
        self._redactor = redactor

    def __call__(self, _: object, method: str, said: MutableMapping[str, Any]) -> bytes:
        """Return the line; `ts, level, event` come first and cannot be overwritten by facts."""
        line: dict[str, object] = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": _LEVELS.get(method, method),
            "event": self._redactor.text(str(said.pop("event", ""))),
        }
        error = said.pop("exc_info", None)
        error = sys.exception() if error is True else error
        if isinstance(error, BaseException):
            said.update(traced(error))
        for name, value in said.items():
            if value is not None and name not in line:
                line[name] = self._redactor.fact(name, value)
        return self._render(line)


class Lines:
    """Writes whole lines to a stream; a stream that is gone costs the line and nothing else."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to this stream, a line at a time, so that processes may share it."""
        self._stream = stream

    def msg(self, line: bytes) -> None:
        """Write one line."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    # structlog calls the method that the level is named after.
    debug = info = warning = warn = error = critical = exception = fatal = msg
