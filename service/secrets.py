"""Holds secrets: given once, or read from a file that may be replaced while the program runs.

A secret never shows itself and never goes from a good value to a bad one. Must import nothing of this
program: what a secret means is the business of the parser it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

LARGEST_FILE = 65_536

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Secret(Generic[T]):
    """A secret's parsed value, kept current with its file if it has one."""

    __slots__ = ("_followers", "_lines", "_parse", "_path", "_raw", "_seen", "_value", "name")

    def __init__(self, name: str, source: str | Path, parse: Callable[[str], T], *, lines: int = 1) -> None:
        """Parse the text, or the file's text; ValueError (never quoting it) when it cannot be used.

        A file, and nothing else, may hold more than one line if `lines` says so.
        """
        self.name = name
        self._parse = parse
        self._lines = lines
        self._path = source if isinstance(source, Path) else None
        self._followers: list[Callable[[T], None]] = []
        self._seen = _signature(self._path)
        self._raw = _refuse_control(source) if isinstance(source, str) else read_secret(source, lines)
        self._value = parse(self._raw)

    @classmethod
    def unset(cls, name: str, value: T) -> Secret[T]:
        """Stand in for a secret that this process does not need."""
        return cls(name, "", lambda _: value)

    def __repr__(self) -> str:
        """Name the secret and nothing of it."""
        return f"Secret({self.name})"

    @property
    def value(self) -> T:
        """The last good value."""
        return self._value

    @property
    def raw(self) -> str:
        """The text the value was parsed from."""
        return self._raw

    def follow(self, take: Callable[[T], None]) -> None:
        """Have `take` called with each new value."""
        self._followers.append(take)

    def recheck(self, complain: Callable[[str, str], None]) -> bool:
        """Read the file again if it changed, and tell the followers; True when the value is new.

        A file that cannot be used is complained about once, with (name, reason), and changes nothing.
        """
        # The signature is taken before the text: a file replaced in between is simply read once more.
        seen = _signature(self._path)
        if self._path is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            raw = read_secret(self._path, self._lines)
            value = self._parse(raw)
        except ValueError as wrong:
            complain(self.name, str(wrong))
            return False
        if raw == self._raw:
            return False
        self._raw, self._value = raw, value
        for take in self._followers:
            take(value)
        return True


def recheck_all(secrets: Iterable[Secret[object]], complain: Callable[[str, str], None]) -> tuple[str, ...]:
    """Recheck each secret and return the names of those with a new value."""
    return tuple(secret.name for secret in secrets if secret.recheck(complain))


def read_secret(path: Path, lines: int = 1) -> str:
    """Return the file's text without its one final newline; ValueError when it cannot be a secret."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as wrong:
        # Neither the path nor the error's text: people put the secret itself where its file should be.
        reason = getattr(wrong, "strerror", None) or "not a path"
        raise ValueError(f"its file cannot be read ({reason})") from None
    if len(content) > LARGEST_FILE:
        raise ValueError(f"its file is larger than {LARGEST_FILE} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("its file is not UTF-8 text") from None
    return _refuse_control(text.removesuffix("\n"), lines)


def _refuse_control(text: str, lines: int = 1) -> str:
    """Return the text if it has no control character in it but the ends of so many lines."""
    if _CONTROL.search(text.replace("\n", "", lines - 1)):
        raise ValueError("has a control character in it, such as a line break or a tab")
    return text


def _signature(path: Path | None) -> tuple[int, int, int, int] | None:
    """Tell one state of a file from another; a mounted secret is replaced by a symbolic link's new target."""
    try:
        found = path.stat() if path else None
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size) if found else None
