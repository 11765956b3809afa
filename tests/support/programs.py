"""Child processes for tests: what they write, line by line, and their end."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START_WITHIN_S = 30
END_WITHIN_S = 20


class Program:
    """A running child; `lines` are the JSON objects it wrote, `stray` is everything else it wrote."""

    def __init__(self, name, process):
        self.name = name
        self.process = process
        self.lines = []
        self.stray = []
        self._heard = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def said(self, event, within_s=START_WITHIN_S, **facts):
        """Return the first line of an event with these facts, once there is one; fails with what was
        written instead.
        """

        def heard():
            return self.of(event, **facts)

        try:
            async with asyncio.timeout(within_s), self._heard:
                await self._heard.wait_for(lambda: heard() or self._reading.done())
        except TimeoutError:
            pass
        assert heard(), f"{self.name} never said {event} {facts or ''}, but: {self.last_lines()}"
        return heard()[0]

    def of(self, event, **facts):
        """Return the lines of an event with these facts so far."""
        wanted = {"event": event, **facts}.items()
        return [line for line in self.lines if wanted <= line.items()]

    async def end(self, within_s=END_WITHIN_S):
        """Ask the child to end, as Kubernetes does, and return its exit code; it is killed if it stays."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            pytest.fail(f"{self.name} did not end within {within_s} s; its last lines: {self.last_lines()}")
        finally:
            await self.kill()
        return self.process.returncode

    def last_lines(self):
        """What it wrote last and whether it runs still, for who reads why a test failed."""
        code = self.process.returncode
        return [*self.lines[-5:], *self.stray[-5:], "running" if code is None else f"ended with {code}"]

    async def kill(self):
        """Kill the child, if it is still there."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reading

    async def _read(self):
        async for line in self.process.stdout:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.stray.append(line.decode(errors="replace").rstrip())
            await self._tell()
        await self._tell()

    async def _tell(self):
        async with self._heard:
            self._heard.notify_all()


async def started(command, environment, module="service.cli", tree=ROOT):
    """Start `python -m <module> <command>` of a source tree; who asks for it ends the Program."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, command, cwd=tree,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    return Program(command, process)


@asynccontextmanager
async def token_broker(command, environment, tree=ROOT):
    """Run `token-broker <command>` with this environment; gives the Program and ends it.

    What goes wrong while it runs takes a note of what it wrote last.
    """
    program = await started(command, environment, tree=tree)
    try:
        try:
            yield program
        except BaseException as error:
            error.add_note(f"token-broker {command}: {program.last_lines()}")
            raise
        code = await program.end()
        assert code == 0, f"token-broker {command} ended with {code}: {program.last_lines()}"
    finally:
        await program.kill()
