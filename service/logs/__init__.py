"""Writes what happens as one line each on standard output, never with a secret in it.

Decides nothing. Must import nothing of this program: whoever has facts hands them over.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import BinaryIO, Literal

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import FilteringBoundLogger

from service.logs.failures import error_facts
from service.logs.library import route_libraries
from service.logs.lines import LineMaker, Lines, as_json, as_text
from service.logs.redaction import Redactor

_redactor = Redactor()


def configure_logs(
    level: str = "info", fmt: Literal["json", "console"] = "json", stream: BinaryIO | None = None
) -> None:
    """Send every log line of this process, libraries' included, to `stream` (standard output)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    render = as_json if fmt == "json" else as_text
    lines = Lines(stream or sys.stdout.buffer)
    structlog.configure(
        processors=[merge_contextvars, LineMaker(render, _redactor)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    route_libraries(threshold)


def keep_secret(texts: Iterable[str]) -> None:
    """Let none of these texts appear in any log line from now on."""
    _redactor.register(texts)


def redacted(text: str) -> str:
    """Return the text as a log line would show it: without secrets, and not too long."""
    return _redactor.text(text)


def get_log() -> FilteringBoundLogger:
    """Return a logger bound to the configuration of now; cheap to call, so ask for it once and keep it."""
    log: FilteringBoundLogger = structlog.get_logger().bind()
    return log


__all__ = ["configure_logs", "error_facts", "get_log", "keep_secret", "redacted"]
