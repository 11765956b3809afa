"""Takes what libraries say through `logging`, and what nobody caught, into the broker's own form.

Their texts may quote tokens, rows and headers, so of their arguments only numbers are kept. Must import
nothing of this program but the rest of the logs.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
from types import TracebackType

import structlog

LONGEST_MESSAGE = 120

# Held to warnings at every level: below that they log job arguments, paths and user agents.
_LIBRARIES = (
    *("aiohttp", "aiohttp.access", "aiohttp.server", "arq", "asyncio", "asyncpg", "redis", "uvloop"),
    *("opentelemetry", "requests", "urllib3"),
)

# The words a message begins with, up to the first thing that may be a value.
_OPENING_WORDS = re.compile(r"(?:[A-Za-z_.,-]{1,24}(?: |$))*")


class LibraryHandler(logging.Handler):
    """Turns a record into a `library.message` line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what cannot be written is dropped."""
        error = record.exc_info[1] if record.exc_info else None
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))
        with contextlib.suppress(Exception):  # a log line must never break what it is about
            structlog.get_logger().log(
                level, "library.message", logger=record.name, message=_message(record), exc_info=error
            )


def _message(record: logging.LogRecord) -> str:
    """Return the record's own words: its first line, with numbers in their places and nothing else."""
    if record.name == "py.warnings":
        return record.getMessage().partition("\n")[0]
    template = str(record.msg).partition("\n")[0][:LONGEST_MESSAGE]
    if isinstance(record.msg, str) and isinstance(record.args, tuple) and record.args:
        with contextlib.suppress(TypeError, ValueError):
            return template % tuple(map(_harmless, record.args))
        return template
    # Put together by the library itself (asyncio does so with the arguments of callbacks), or an exception.
    words = _OPENING_WORDS.match(template if isinstance(record.msg, str) else "")
    return words[0].strip() if words else ""


def _harmless(argument: object) -> object:
    return argument if isinstance(argument, int | float) else "…"


def route_libraries(level: int) -> None:
    """Send all of `logging`, warnings and uncaught errors through the broker's lines."""
    root = logging.getLogger()
    root.handlers = [LibraryHandler()]
    root.setLevel(level)
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    threading.excepthook = lambda met: _uncaught(met.exc_type, met.exc_value, met.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Write the last line of a process or thread that ends with an error."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    structlog.get_logger().critical("process.crashed", exc_info=error)
