"""Tells one state of a file from another, for what is read again when it changed."""

from __future__ import annotations

from pathlib import Path

State = tuple[int, int, int, int] | None


def state_of(path: Path) -> State:
    """Return what changes when a file does, also by a link's new target; None while it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
