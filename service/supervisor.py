"""Keeps several service processes going: starts them, replaces those that end, and ends them all.

Serves nothing itself and imports little. What it holds is what must outlive each of them: the listeners'
sockets, so that no connection is refused meanwhile, and the folder of their figures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.callers import require_usable
from service.listening import Sockets, bind_all_for_each
from service.member import Place
from service.metrics.shared import forget_gauges
from service.roles import FAILED, FINE, WRONG_USAGE
from service.sessions import announce, require_usable_keys
from service.settings import ConfigurationError, Problem

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Settings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
STEADY_S = 30.0
LOOK_EVERY_S = 1.0


async def supervise(settings: Settings, telemetry: Telemetry) -> int:
    """Run `settings.workers` service processes until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigurationError when an address or the folder for their figures cannot be used.
    """
    require_usable_keys(settings)
    require_usable(settings)
    with _folder() as folder:
        sockets = bind_all_for_each(settings)
        announce(settings, telemetry)
        return await Supervisor(settings, telemetry, sockets, folder).run()


def pause_s(crashes: int) -> float:
    """Return how long a place stays empty after so many short-lived processes in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(crashes, 10), LONGEST_PAUSE_S)


@dataclass(slots=True)
class Member:
    """One process: its id, the line it beats on, and when it was last heard."""

    number: int
    pid: int
    line: socket.socket
    ended: asyncio.Future[int]
    heard_at: float | None = None
    silent: bool = field(default=False, init=False)


class Supervisor:
    """The processes of one service by their places, and what each of them is given.

    `program` is what a process runs, as Python is told; its last argument is the place.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        sockets: list[Sockets],
        folder: str,
        program: Sequence[str] = ("-m", "service.member"),
    ) -> None:
        self._program = program
        self._settings = settings
        self._telemetry = telemetry
        self._sockets = sockets
        self._folder = folder
        self._members: dict[int, Member] = {}
        self._stop = asyncio.Event()
        self._up: set[int] = set()
        self._code = FINE

    async def run(self) -> int:
        """Keep every place taken until told to end, then let all of them drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        keeping = [asyncio.create_task(self._keep(number)) for number in range(len(self._sockets))]
        watching = asyncio.create_task(self._watch())
        await self._stop.wait()
        watching.cancel()
        await self._end(keeping)
        self._telemetry.note("service.stopped", processes=len(keeping), exit_code=self._code)
        return self._code

    async def _keep(self, number: int) -> None:
        """Have a process in this place, one after another."""
        crashes = 0
        while not self._stop.is_set():
            began = _now()
            try:
                member = self._start(number)
            except OSError as error:
                # There is no room for one more process or file at the moment: there may be later.
                why = f"it cannot be started: {error.strerror}"
                await self._pause(pause_s(crashes), process=number, reason=why)
                crashes += 1
                continue
            code = await member.ended
            self._forget(member)
            if self._stop.is_set():
                # Who is told to end before it hears signals is ended by them, and had begun nothing.
                self._code = self._code or (FINE if code in {FINE, -signal.SIGTERM} else FAILED)
            elif code == WRONG_USAGE and not self._up:
                # It has said what is wrong, and would say it again.
                self._code = code
                self._stop.set()
            else:
                crashes = 0 if _now() - began >= STEADY_S else crashes
                reason = "silent" if member.silent else None
                await self._pause(pause_s(crashes), process=number, exit_code=code, reason=reason)
                crashes += 1

    def _start(self, number: int) -> Member:
        ours, theirs = socket.socketpair()
        files = [{name: sock.fileno() for name, sock in sockets.items()} for sockets in self._sockets]
        place = Place(number, theirs.fileno(), self._folder, files)
        with theirs, ExitStack() as on_failure:
            on_failure.enter_context(ours)
            process = subprocess.Popen(  # noqa: S603 - it takes milliseconds; our own program
                [sys.executable, "-P", *self._program, place.write()],
                pass_fds=place.files,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            on_failure.pop_all()
        # Reaped by `_reap`, like whatever else becomes a child of process 1.
        process.returncode = FINE
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        member = Member(number, process.pid, ours, loop.create_future())
        self._members[process.pid] = member
        loop.add_reader(ours.fileno(), self._hear, member)
        return member

    def _hear(self, member: Member) -> None:
        """Take in a process's beats; with the first one it serves."""
        with suppress(OSError):
            if not member.line.recv(4096):
                asyncio.get_running_loop().remove_reader(member.line.fileno())
                return
        member.heard_at = _now()
        if len(self._up) < len(self._sockets):
            self._up.add(member.number)
            if len(self._up) == len(self._sockets):
                self._telemetry.note("service.started", None, processes=len(self._up), **self._where())

    def _where(self) -> dict[str, str]:
        at = {name: sock.getsockname() for name, sock in self._sockets[0].items()}
        return {name: f"{host}:{port}" for name, (host, port, *_) in at.items()}

    def _reap(self) -> None:
        """Collect every child that has ended, also one that is nobody's any more."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                member = self._members.get(ended[0])
                if member is not None and not member.ended.done():
                    member.ended.set_result(os.waitstatus_to_exitcode(ended[1]))

    def _forget(self, member: Member) -> None:
        del self._members[member.pid]
        asyncio.get_running_loop().remove_reader(member.line.fileno())
        member.line.close()
        forget_gauges(self._folder, member.number)

    async def _pause(self, after_s: float, **why: object) -> None:
        self._telemetry.note("process.restarted", None, after_s=after_s, **why)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), after_s)

    async def _watch(self) -> None:
        """Kill what has served and has not been heard of for as long as the platform would give it to end.

        Nobody was heard while this process stood still itself: a machine that is moved, a paused container.
        """
        limit_s, looked_at = self._settings.grace.total_seconds(), _now()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            stood_still_s, looked_at = _now() - looked_at - LOOK_EVERY_S, _now()
            for member in self._members.values():
                if member.heard_at is None:
                    continue
                member.heard_at = min(member.heard_at + stood_still_s, looked_at)
                if looked_at - member.heard_at > limit_s:
                    member.silent = True
                    self._signal(member, signal.SIGKILL)

    async def _end(self, keeping: list[asyncio.Task[None]]) -> None:
        """Let all drain at once; kill those that hang before the platform kills everything."""
        for sockets in self._sockets:
            for sock in sockets.values():
                sock.close()
        for member in self._members.values():
            self._signal(member, signal.SIGTERM)
        drain_s, grace_s = self._settings.drain.total_seconds(), self._settings.grace.total_seconds()
        _, late = await asyncio.wait(keeping, timeout=(drain_s + grace_s) / 2)
        for member in self._members.values():
            self._telemetry.note("process.killed", process=member.number, reason="it did not end in time")
            self._signal(member, signal.SIGKILL)
        if late:
            await asyncio.wait(late)

    def _signal(self, member: Member, number: signal.Signals) -> None:
        if not member.ended.done():
            with suppress(ProcessLookupError):
                os.kill(member.pid, number)


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def _folder() -> Iterator[str]:
    """Give a folder for the figures of all processes, and remove it."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="token-broker-figures-", ignore_cleanup_errors=True)
    except OSError as error:
        what = f"needs a folder that can be written to for the processes' figures: {error.strerror}"
        raise ConfigurationError([Problem("TMPDIR", what, "/dev/shm")]) from None  # noqa: S108 - an example
    with folder as name:
        yield name
