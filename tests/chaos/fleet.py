"""The product's processes as the run's own children: started, struck, ended; what they write goes to files.

Synchronous, and for the main thread: children end with the thread that started them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path

import orjson

from tests.chaos.setup import HOST

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1


class State(Enum):
    """How a process stands."""

    DOWN = "down"
    BOOTING = "booting"
    UP = "up"
    STOPPED = "stopped"
    ENDING = "ending"


def spawn(module, arguments, environ, log_path, **pipes):
    """Start a module of this project as a child that cannot outlive us."""
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT,
            preexec_fn=_tied(),  # noqa: PLW1509 - what the kernel does when we die
            start_new_session=True, **{"stdin": subprocess.DEVNULL, **pipes},
        )  # fmt: skip


def _tied():
    """Return what has Linux kill the child when we die; elsewhere nothing does."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie():
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


class Replica:
    """One service or worker, again and again."""

    def __init__(self, name, environ, ports, log_path, chaos):
        self.name = name
        self.serves = name.startswith("service")
        self.ports = ports
        self.state = State.DOWN
        self.log_path = log_path
        self._environ = {**environ, "CHAOS": orjson.dumps(chaos).decode()}
        self.process = None
        self._asked_at = 0.0

    def start(self):
        """Start it; `look` notices when it is up."""
        command = "serve" if self.serves else "work"
        self.process = spawn("tests.chaos.faulty", [command], self._environ, self.log_path)
        self.state = State.BOOTING

    def kill(self):
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        self.state = State.DOWN

    def stop(self):
        """Have it stand still."""
        self.process.send_signal(signal.SIGSTOP)
        self.state = State.STOPPED

    def go_on(self):
        """Have it go on, if it stands still."""
        if self.state is State.STOPPED:
            self.process.send_signal(signal.SIGCONT)
            self.state = State.UP

    def ask_to_end(self):
        """Ask it to end, as a platform does."""
        self.process.send_signal(signal.SIGTERM)
        self.state = State.ENDING
        self._asked_at = time.monotonic()

    def ending_for_s(self):
        """How long ago it was asked to end."""
        return time.monotonic() - self._asked_at

    def end(self, grace_s):
        """Have it end for good, and return its exit code; None when it had to be killed."""
        self.ask_to_end()
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        finally:
            self.state = State.DOWN

    def look(self):
        """Notice what has become of it; returns the exit code of one that has just ended."""
        if self.state in {State.DOWN, State.STOPPED}:
            return None
        code = self.process.poll()
        if code is not None:
            self.state = State.DOWN
        elif self.state is State.BOOTING and self._listens():
            self.state = State.UP
        return code

    def _listens(self):
        with suppress(OSError), socket.create_connection((HOST, self.ports["observe"]), timeout=0.2):
            return True
        return False
