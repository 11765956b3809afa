"""The log's second net: turns any fact into something harmless that can be written.

The first net is that nobody hands a secret to a log. Must import nothing of this program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

REDACTED = "[redacted]"
LONGEST_TEXT = 256
LONGEST_SCAN = 4096
MOST_ITEMS = 50
DEEPEST = 4
SHORTEST_SECRET = 8
LARGEST_INTEGER = 2**63

_SHAPES = (
    r"eyJ[\w-]{10,}(?:\.[\w-]*){0,2}"  # a JWT, whole or cut
    r"|[Bb][Ee][Aa][Rr][Ee][Rr]\s+[\w.~+/=-]{8,}"
    r"|\bcal_(?:live_|test_)?[A-Za-z0-9]{16,}"
    r"|(?<=://)[^/\s@]+(?=@)"  # user and password of a URL
)
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:tokens?|secrets?|passwords?|authorization|cookies?|assertion|api_?keys?)$", re.IGNORECASE
)


class Redactor:
    """Knows what secrets look like, and those it was told of."""

    def __init__(self) -> None:
        """Know the shapes alone."""
        self._texts: set[str] = set()
        self._pattern = re.compile(_SHAPES)

    def register(self, texts: Iterable[str]) -> None:
        """Let none of these be seen from now on; shorter ones than 8 characters would blot out words."""
        self._texts.update(text for text in texts if len(text) >= SHORTEST_SECRET)
        # Longest first, so that of two secrets the one that holds the other is taken whole.
        known = sorted(map(re.escape, self._texts), key=len, reverse=True)
        self._pattern = re.compile("|".join([*known, _SHAPES]))

    def text(self, text: str) -> str:
        """Return the text without secrets and control characters, at most 256 characters long."""
        if len(text) > LONGEST_SCAN:
            return f"<{len(text)} characters>"
        clean = self._pattern.sub(REDACTED, text)
        if not clean.isprintable():
            clean = "".join(map(_printable, clean))
        return clean if len(clean) <= LONGEST_TEXT else f"{clean[:LONGEST_TEXT]}…"

    def fact(self, name: str, value: object) -> object:
        """Return a named fact fit for a log line."""
        return REDACTED if value is not None and _SECRET_NAME.search(name) else self.plain(value)

    def plain(self, value: object, depth: int = 0) -> object:
        """Return the value as JSON has it; of an object that is no plain value only the type's name."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, int):
            return int(value) if -LARGEST_INTEGER <= value < LARGEST_INTEGER else "<large integer>"
        if isinstance(value, float):
            return round(float(value), 6)
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, timedelta):
            return value.total_seconds()
        return self._plain_items(value, depth)

    def _plain_items(self, value: object, depth: int) -> object:
        """Return a collection of plain values, its first 50 items at most four levels deep."""
        if depth < DEEPEST and isinstance(value, Mapping):
            pairs = [(self.text(str(name)), item) for name, item in list(value.items())[:MOST_ITEMS]]
            return {
                name: REDACTED if _SECRET_NAME.search(name) else self.plain(item, depth + 1)
                for name, item in pairs
            }
        named = hasattr(value, "_fields")  # a named tuple is an object like any other
        if depth < DEEPEST and not named and isinstance(value, list | tuple | set | frozenset):
            return [self.plain(item, depth + 1) for item in list(value)[:MOST_ITEMS]]
        return f"<{type(value).__name__}>"


def _printable(character: str) -> str:
    """Return what shows a line break, an escape, a text direction or half a pair without being one."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()
