"""Runs `token-broker dev` as people do: a process of its own, told to stop by signals."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import aiohttp

from sandbox.dev.ports import WHAT, Ports

ROOT = Path(__file__).parents[2]
UP_S, DOWN_S = 30, 30


class Run:
    """One run; `output` is what it has said on both streams."""

    def __init__(self, folder, *options, ports=None, **environ):
        self.ports = ports or Ports.free()
        self.log = folder / f"run-{time.monotonic_ns()}.log"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.temporary.chmod(0o711)  # root's servers run as somebody else, who has to pass
        given = [part for name, port in asdict(self.ports).items() for part in (WHAT[name][1], str(port))]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "dev", *given, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**_clean(), "TMPDIR": str(self.temporary), **environ},
                start_new_session=True,
            )

    @property
    def output(self):
        return self.log.read_text()

    @property
    def page(self):
        return f"http://127.0.0.1:{self.ports.demo}"

    @property
    def refresh_url(self):
        return f"http://127.0.0.1:{self.ports.public}/refresh"

    def up(self):
        """Wait until it has said where everything is; fails when it ends instead."""
        limit = time.monotonic() + UP_S
        while "Ctrl-C stops everything" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < limit, self.output
            time.sleep(0.05)
        return self

    def end(self, number=signal.SIGINT):
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        return self.process.wait(DOWN_S)

    def family(self):
        """The process ids of everything that it has started."""
        return descendants(self.process.pid)

    def child(self, command):
        """The process id of the child that runs this command of the broker."""
        return next(pid for pid in self.family() if command in _words(pid))

    def has_started(self, program):
        """Whether a process of this name, or with this word in its command line, is below it."""
        return any(Path(word).name == program for pid in self.family() for word in _words(pid))

    def close(self):
        """Leave nothing of it, however the test went."""
        if self.process.poll() is None:
            self.end(signal.SIGTERM)


def _clean():
    """Our environment without what would make it another run."""
    return {
        name: value for name, value in os.environ.items() if not re.match(r"TOKEN_BROKER_|CAL_|X_CAL_", name)
    }


def _words(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def descendants(pid):
    """Every process below this one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def alive(pids):
    """Those that still run; one that has ended and waits to be collected does not."""
    return [pid for pid in pids if _state(pid) not in {None, "Z", "X"}]


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


async def call(method, url, **options):
    """Return the status and the JSON of an answer."""
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as response:
        return response.status, await response.json(content_type=None)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}
