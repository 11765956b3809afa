"""Where the keys come from that seal what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Keys = Sequence[tuple[str, bytes]]
"""Key ids with 32-byte keys; the first one writes, all of them read."""


class KeyProvider(Protocol):
    """Keeps a key ring current. The setting ENCRYPTION_KEYS, re-read when its file changes, is one by itself.

    A key service goes here: an adapter that has it unwrap data keys, under ids of their own, and hands over
    the ring. A key is in the ring of every process before it is the first of any.
    """

    @property
    def value(self) -> Keys:
        """The ring as it is now."""

    def follow(self, take: Callable[[Keys], None]) -> None:
        """Have `take` called with each new ring, in the loop's thread."""
