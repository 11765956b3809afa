"""One shell that is given a page's blocks one after another, as a reader would; each must succeed.

What the blocks leave running ends with the session.
"""

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress

ENDS_WITHIN_S = 20
END = "set +e; trap : TERM; kill -TERM 0; wait; wait\n"
"""The first wait is broken off by the signal that the shell sends itself as well."""


class Shell:
    """A running shell: variables, working folder and background processes last from block to block."""

    def __init__(self, folder, environment):
        self._folder = folder
        self._number = 0
        self._process = subprocess.Popen(
            ["/bin/sh", "-eu"], cwd=folder, env=environment, text=True, bufsize=1, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, commands, within_s):
        """Run the commands and return what they wrote; fails with it when one of them fails."""
        self._number += 1
        script, output, done = (self._folder / f".{self._number}.{kind}" for kind in ("sh", "out", "done"))
        script.write_text(commands)
        self._process.stdin.write(f". '{script}' > '{output}' 2>&1\n: > '{done}'\n")
        until = time.monotonic() + within_s
        while not done.exists():
            assert self._process.poll() is None, f"failed:\n{commands}\nand wrote:\n{output.read_text()}"
            assert time.monotonic() < until, f"took too long:\n{commands}\nand wrote:\n{output.read_text()}"
            time.sleep(0.02)
        return output.read_text()

    def end(self):
        """End the shell and everything that was started in it; what does not end when told to is killed."""
        with suppress(BrokenPipeError):
            self._process.communicate(END, timeout=ENDS_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def shell(folder, environment):
    """Give a shell in this folder with exactly this environment."""
    running = Shell(folder, environment)
    try:
        yield running
    finally:
        running.end()
