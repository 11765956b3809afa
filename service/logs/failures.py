"""Says of an error what may be said: its class, its code and where it happened.

Never its text or a traceback with lines of values: those of drivers and parsers quote what they were
given. Must import nothing of this program.
"""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

MOST_FRAMES = 8

_ROOT = str(Path(__file__).resolve().parents[2])
_OURS = tuple(f"{_ROOT}/{room}/" for room in ("service", "worker", "sandbox"))


def error_facts(error: BaseException) -> dict[str, object]:
    """Return `error` (class), `code` where it has one, `cause`, and `at` (innermost place in our code)."""
    facts: dict[str, object] = {"error": _name(error)}
    if code := _code(error):
        facts["code"] = code
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        facts["cause"] = _name(cause)
    if places := _places(error):
        facts["at"] = next((place for place, ours in reversed(places) if ours), places[-1][0])
    return facts


def traced(error: BaseException) -> dict[str, object]:
    """Return `error_facts` and `trace`: the last places the error came through, innermost last."""
    return {**error_facts(error), "trace": [place for place, _ in _places(error)[-MOST_FRAMES:]]}


def _name(error: BaseException) -> str:
    """Return the class with its package: `asyncpg.UniqueViolationError`, `ValueError`."""
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package in {"builtins", "service"} else f"{package}.{kind.__qualname__}"


def _code(error: BaseException) -> str | None:
    """Return the SQLSTATE, the broker's code, the HTTP status or the errno's name: never free text.

    Strings are taken from the class alone: what hangs on one error may be a value it was given.
    """
    for code in (getattr(type(error), "sqlstate", None), getattr(type(error), "code", None)):
        if isinstance(code, str):
            return code
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return str(int(status))
    return errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None


def _places(error: BaseException) -> list[tuple[str, bool]]:
    """Return `file:line function` of each frame, and whether it is our own code."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        (f"{_shown(frame.filename)}:{frame.lineno} {frame.name}", frame.filename.startswith(_OURS))
        for frame in frames
    ]


def _shown(filename: str) -> str:
    """Return a path without where things are installed on this machine."""
    packaged = filename.rpartition("site-packages/")[2]
    return packaged.removeprefix(f"{_ROOT}/") if packaged == filename else packaged
