"""The one error of this package. Imports nothing."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An embedded server could not be found, started or ended; the message says what to do."""
