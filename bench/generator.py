"""The load generator: built on the spot by the C compiler, told by words, heard as JSON."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import NotFit

SOURCES = Path(__file__).parent / "load"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


class LoadFailed(Exception):
    """A load did not end well; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes to send, and those that the body of the answer must begin with."""

    sent: bytes
    expected: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """The built program."""

    program: Path

    def burst(
        self,
        port: int,
        requests: Path,
        *,
        connections: int,
        first: int,
        warm_s: float,
        burst_s: float,
        watched: Sequence[int],
    ) -> dict[str, Any]:
        """Keep every connection busy for a while; returns the figures."""
        words = (port, requests, connections, first, warm_s * 1000, burst_s * 1000)
        return self._run(burst_s + warm_s + 30, "burst", *words, ",".join(map(str, watched)))

    def stampede(self, port: int, requests: Path, *, connections: int, first: int) -> dict[str, Any]:
        """Open every connection, then have all of them ask at once; returns when each answer came."""
        return self._run(120, "stampede", port, requests, connections, first)

    def _run(self, limit_s: float, *words: object) -> dict[str, Any]:
        ended = subprocess.run(  # noqa: S603 - our own program, no shell
            [self.program, *map(str, words)], capture_output=True, text=True, timeout=limit_s, check=False
        )
        if ended.returncode != 0:
            raise LoadFailed(f"{ended.stderr.strip()} {ended.stdout.strip()}".strip())
        figures: dict[str, Any] = json.loads(ended.stdout)
        return figures


def build(folder: Path) -> Load:
    """Compile the generator into this folder."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotFit("The load generator is compiled on the spot: a C compiler (cc) is missing.")
    program = folder / "load"
    made = subprocess.run(  # noqa: S603 - no shell
        [compiler, *_FLAGS, "-o", program, *sorted(SOURCES.glob("*.c"))],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise NotFit(f"The load generator could not be compiled:\n{made.stderr}")
    return Load(program)


def write_requests(path: Path, requests: Iterable[Request]) -> Path:
    """Write requests in the form that the generator reads; returns the file."""
    with path.open("wb") as file:
        for request in requests:
            for part in (request.sent, request.expected):
                file.write(struct.pack("<I", len(part)) + part)
    return path
