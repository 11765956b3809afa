"""Runs one server as a direct child that cannot outlive us, and knows when the last of its processes is gone.

No daemon, no pid file of ours. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import Signals

from sandbox.embedded.account import QUIET, Account
from sandbox.embedded.errors import EmbeddedError

_PR_SET_PDEATHSIG = 1
_ORPHANS_S = 15.0


class Child:
    """A running server program."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log_path: Path,
        account: Account,
        farewell: Signals,
        config: str = "",
    ) -> None:
        """Start it with `config` on its standard input; Linux sends it `farewell` should we die first."""
        if threading.current_thread() is not threading.main_thread():
            # Linux sends the farewell when the *thread* that started the child ends.
            raise EmbeddedError(
                "Start embedded servers from the main thread: they end with the thread they are started in."
            )
        self._log_path = log_path
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        self._gone, held = os.pipe()
        try:
            self._process = _spawn(command, log_path, account, _die_with_us(farewell), held, config)
        except BaseException:
            os.close(self._gone)
            raise
        finally:
            os.close(held)

    @property
    def pid(self) -> int:
        """The server's main process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the main process lives."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of what it has logged since it was started."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")[-2000:].strip()

    def end(self, *steps: tuple[Signals, float]) -> None:
        """Send each signal in turn, waiting so many seconds after it, until nothing of the server is left."""
        for sign, seconds in steps:
            self._process.send_signal(sign)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                break
        self._await_orphans()

    def _await_orphans(self) -> None:
        """Wait for the children of a killed server: each holds the pipe's other end until it exits."""
        if self._gone < 0:
            return
        watch = select.poll()
        watch.register(self._gone, select.POLLIN)
        if not watch.poll(_ORPHANS_S * 1000):
            raise EmbeddedError(
                f"Processes of the server with log {self._log_path} outlived it by {_ORPHANS_S:.0f} s."
            )
        os.close(self._gone)
        self._gone = -1


def _spawn(
    command: Sequence[str | Path],
    log_path: Path,
    account: Account,
    last_step: Callable[[], None] | None,
    held: int,
    config: str,
) -> subprocess.Popen[bytes]:
    with log_path.open("ab") as log, _readable(config) as stdin, warnings.catch_warnings():
        # Python 3.12 warns of any fork while threads run; between fork and exec only prctl is called.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(  # noqa: S603 - programs of ours, no shell
            command,
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(held,),
            start_new_session=True,
            preexec_fn=last_step,  # noqa: PLW1509 - the only way to set what the kernel does when we die
            cwd="/",
            env=QUIET,
            user=account.uid,
            group=account.gid,
            extra_groups=account.groups,
        )


@contextmanager
def _readable(text: str) -> Iterator[int]:
    """Offer a short text to a child without a file: it fits into the pipe before anybody reads."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(text)
        yield reading
    finally:
        os.close(reading)


def _die_with_us(farewell: Signals) -> Callable[[], None] | None:
    """Return what ties the child to our life; elsewhere than on Linux only `end` does."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
