"""What PostgreSQL and Valkey have in common: a folder, a port that stays, start, stop, kill, restart.

Blocking on purpose, so that it serves synchronous fixtures; a start takes about a second at most.
"""

from __future__ import annotations

import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import ClassVar

from sandbox.embedded import account
from sandbox.embedded.child import Child
from sandbox.embedded.errors import EmbeddedError

HOST = "127.0.0.1"
_READY_S = 30.0
_KILL = (Signals.SIGKILL, 10.0)


class Server(ABC):
    """One embedded server with its files below `base`."""

    name: ClassVar[str]
    stop_steps: ClassVar[tuple[tuple[Signals, float], ...]]

    def __init__(self, base: Path, *, options: Mapping[str, str] | None = None) -> None:
        """Keep where its files go and settings of the server's own that override ours; nothing is started."""
        self.base = base.absolute()
        self.options = dict(options or {})
        self.port = 0
        self.log_path = self.base / f"{self.name}.log"
        self.account = account.choose()
        self._child: Child | None = None
        self._prepared = False

    @property
    @abstractmethod
    def url(self) -> str:
        """The address to connect to, password included; valid from the first start on."""

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._child is None:
            raise EmbeddedError(f"{self.name} is not running: start it first.")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the server's main process lives."""
        return self._child is not None and self._child.running

    def start(self) -> str:
        """Start it unless it runs, wait until it answers, and return its address."""
        if self.running:
            return self.url
        self.stop()
        if not self._prepared:
            self.account.make_base(self.base)
            self._prepare()
            self._prepared = True
        for port in [self.port] if self.port else _free_ports(5):
            self.port = port
            if self._try_start():
                return self.url
        raise EmbeddedError(f"{self.name} could not be started: port {self.port} of {HOST} is taken.")

    def stop(self) -> None:
        """End it in good order and wait until none of its processes is left."""
        self._end(*self.stop_steps, _KILL)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would, and wait until none of its processes is left."""
        self._end(_KILL)

    def restart(self) -> str:
        """Stop it if it runs and start it again on the same port and data."""
        self.stop()
        return self.start()

    @abstractmethod
    def _prepare(self) -> None:
        """Find the program and make what it needs on disk."""

    @abstractmethod
    def _launch(self) -> Child:
        """Start the program on `self.port`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes connections now."""

    def _end(self, *steps: tuple[Signals, float]) -> None:
        if self._child is not None:
            self._child.end(*steps)
            self._child = None

    def _try_start(self) -> bool:
        """Start it and wait; False when another process holds the port."""
        self._child = self._launch()
        try:
            return self._await_answer(self._child)
        except BaseException:
            self.kill()
            raise

    def _await_answer(self, child: Child) -> bool:
        limit = time.monotonic() + _READY_S
        while child.running:
            if self._answers():
                return True
            if time.monotonic() > limit:
                raise EmbeddedError(
                    f"{self.name} did not answer within {_READY_S:.0f} s; see {self.log_path}."
                )
            time.sleep(0.01)
        said = child.last_words()
        self.kill()
        if "Address already in use" in said:
            return False
        raise EmbeddedError(
            f"{self.name} ended as soon as it was started. Its log ({self.log_path}) says:\n{said}"
        )


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, below those the kernel gives to clients.

    A client that keeps asking a stopped server's port could otherwise be given that very port as its own,
    connect to itself, and keep the server from coming back.
    """
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            found.append(port)
    return found
