"""Figures of several processes as those of one service: each writes files of its own, anyone reads all.

A process writes under the number of its place, not of itself: who takes the place over goes on counting
where the one before it ended, so no counter goes back, however that one ended, and no file is left over.
Must import nothing of this program.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import prometheus_client.values
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_READS = 3


def share_figures(folder: str, place: int) -> None:
    """Keep all figures made from now on in this folder, as the process in this place (0, 1, ...)."""
    os.environ[_FOLDER] = folder
    forget_gauges(folder, place)
    prometheus_client.values.ValueClass = MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]


def forget_gauges(folder: str, place: int) -> None:
    """Let what the process in this place said of itself count no more: it has ended. Counts stay."""
    mark_process_dead(place, folder)  # type: ignore[no-untyped-call]


def render_shared(folder: str, own: CollectorRegistry) -> bytes:
    """Return the figures of all processes together, and of those that nobody has moved yet the names."""
    for _ in range(_READS - 1):
        try:
            return _render(folder, own)
        except (OSError, struct.error):
            # A file that a process has just made, or that went with one, cannot be read yet or any more.
            continue
    return _render(folder, own)


def _render(folder: str, own: CollectorRegistry) -> bytes:
    registry = CollectorRegistry()
    registry.register(_All(folder, own))
    return generate_latest(registry)


class _All(Collector):
    """Reads every process's files."""

    def __init__(self, folder: str, own: CollectorRegistry) -> None:
        self._folder = folder
        self._own = own

    def describe(self) -> Iterable[Metric]:
        """Promise nothing: registering must not read the files."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric once, in the order in which a process that is alone shows them."""
        files = [str(file) for file in Path(self._folder).glob("*.db")]
        merged = {metric.name: metric for metric in MultiProcessCollector.merge(files)}  # type: ignore[no-untyped-call]
        for metric in self._own.collect():
            yield merged.pop(metric.name, None) or Metric(metric.name, metric.documentation, metric.type)
        yield from merged.values()
