"""What the logs write, line by line, with everything they touch put back afterwards."""

import io
import json
import logging
import sys
import threading
from contextlib import contextmanager

import structlog

from service.logs import configure_logs


class Written:
    """What the logs of this test have written."""

    def __init__(self):
        self.stream = io.BytesIO()

    @property
    def text(self):
        return self.stream.getvalue().decode()

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def line(self):
        (line,) = self.lines
        return line


@contextmanager
def written_logs(level="info"):
    """Logs as JSON from this level up."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = (root.handlers, root.level)
    written = Written()
    configure_logs(level, "json", written.stream)
    yield written
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers, root.level = before
    sys.excepthook, threading.excepthook = hooks


def raised(error, cause=None):
    """The error as it is caught, with a place where it was raised."""
    try:
        raise error from cause
    except type(error) as caught:
        return caught
