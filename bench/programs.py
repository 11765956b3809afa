"""Starts what is measured, each pinned to its cores, and ends it. No program outlives the benchmark."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import family

ROOT = Path(__file__).parents[1]
_UP_S, _DOWN_S = 60.0, 20.0
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl


class NotUp(Exception):
    """A program did not come up; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """A running program and where it writes what it says."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pids(self) -> list[int]:
        """The program's processes."""
        return family(self.process.pid)


@contextmanager
def running(
    name: str,
    command: Sequence[str | Path],
    *,
    port: int,
    folder: Path,
    cores: set[int],
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    says: str | None = None,
) -> Iterator[Program]:
    """Run a program until the block ends; begins when it listens, or has said `says`."""
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - programs of ours, no shell
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=cwd,
            start_new_session=True,  # else the server and its load share one weight
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(env or {})},
            preexec_fn=_pinned(cores),  # noqa: PLW1509 - the only way to set what the kernel does when we die
        )
    program = Program(name, process, port, log)
    try:
        _await(program, (lambda: says in log.read_text()) if says else (lambda: _listens(port)))
        yield program
    finally:
        _end(process)


def python(module: str, *words: object) -> list[str]:
    """Return the command that runs a module under this very Python."""
    return [sys.executable, "-m", module, *map(str, words)]


def free_port() -> int:
    """Return a port that is free now, below those the kernel gives to clients."""
    for _ in range(100):
        port = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000
        if not _listens(port):
            return port
    raise NotUp("No free port was found below 32000.")


def _pinned(cores: set[int]) -> Callable[[], None]:
    parent = os.getpid()

    def tie() -> None:
        os.sched_setaffinity(0, cores)
        _PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _await(program: Program, up: Callable[[], bool]) -> None:
    limit = time.monotonic() + _UP_S
    while not up():
        if program.process.poll() is not None or time.monotonic() > limit:
            last = program.log.read_text(errors="replace")[-2000:]
            raise NotUp(f"{program.name} did not come up; {program.log} ends with:\n{last}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_DOWN_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
