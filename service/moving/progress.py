"""Says how far an import is, and what came of it: on a terminal a bar that is drawn again, else lines."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TextIO

from service.broker.imports import Fate

LINE_EVERY_S = 10.0
DRAW_EVERY_S = 0.2
BAR_WIDTH = 30


class Progress:
    """Counts what became of rows; `share` tells how much of the source was read, None where nobody knows."""

    def __init__(self, stream: TextIO, share: Callable[[], float | None]) -> None:
        self.counts: Counter[Fate] = Counter()
        self._stream = stream
        self._share = share
        self._on_terminal = stream.isatty()
        self._began = self._told_at = time.monotonic()
        self._drawn = False

    @property
    def rows(self) -> int:
        """How many rows there were so far."""
        return self.counts.total()

    def add(self, fate: Fate) -> None:
        """Count a row."""
        self.counts[fate] += 1

    def tell(self) -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._told_at >= (DRAW_EVERY_S if self._on_terminal else LINE_EVERY_S):
            self._told_at = now
            self._write()

    def clear(self) -> None:
        """Make room for a line of its own."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False

    def close(self) -> None:
        """Say it for the last time."""
        self._write()
        if self._on_terminal:
            self._stream.write("\n")
        self._stream.flush()

    def _write(self) -> None:
        share, seconds = self._share(), time.monotonic() - self._began
        rate = f"{self.rows / seconds:,.0f}/s" if seconds > 1 else ""
        words = f"{self.rows:,} rows, {self.counts[Fate.REJECTED]:,} rejected {rate}".rstrip()
        if share is not None:
            words = f"{share:4.0%}  {words}"
        if not self._on_terminal:
            self._stream.write(f"{words.strip()}\n")
        elif share is None:
            self._stream.write(f"\r\x1b[K{words}")
        else:
            full = int(share * BAR_WIDTH)
            self._stream.write(f"\r\x1b[K[{'#' * full}{'.' * (BAR_WIDTH - full)}] {words}")
        self._drawn = self._on_terminal
        self._stream.flush()


_DONE = {Fate.IMPORTED: "imported", Fate.REPLACED: "replaced by a newer pair", Fate.ALREADY: "already there"}
_WOULD = {**_DONE, Fate.IMPORTED: "would be imported", Fate.REPLACED: "would be replaced by a newer pair"}


def summary_text(counts: Mapping[Fate, int], reasons: Mapping[str, int], *, dry_run: bool) -> str:
    """Return what came of it, for people."""
    words = _WOULD if dry_run else _DONE
    lines = [f"{counts[fate]:,} {words[fate]}" for fate in words]
    why = ", ".join(f"{count:,} {code}" for code, count in sorted(reasons.items()))
    lines.append(f"{counts[Fate.REJECTED]:,} rejected" + (f" ({why})" if why else ""))
    return "".join(f"{line}\n" for line in lines)


def summary_json(counts: Mapping[Fate, int], reasons: Mapping[str, int], *, dry_run: bool) -> str:
    """Return the same as one JSON object."""
    said = {**{fate.value: counts[fate] for fate in Fate}, "reasons": dict(reasons), "dryRun": dry_run}
    return f"{json.dumps(said)}\n"
