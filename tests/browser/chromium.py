"""One Chromium and its tabs, as tests hold them; Playwright drives it in a Node process (driver.mjs)."""

import asyncio
import itertools
import json
import os
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.browser.building import HERE, chromium_path

ANSWER_WITHIN_S = 40
LONGEST_LINE = 2**24


@dataclass(frozen=True)
class Request:
    """One request of a tab: `at` in epoch seconds, `status` 0 if unanswered, `bearer` as in the journal."""

    at: float
    method: str
    url: str
    status: int
    bearer: str | None

    @property
    def path(self):
        return urlsplit(self.url).path

    @property
    def origin(self):
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class Chromium:
    """A running Chromium."""

    def __init__(self, process):
        self._process = process
        self._numbers = itertools.count(1)
        self._answers = {0: asyncio.get_running_loop().create_future()}
        self._reading = asyncio.create_task(self._read())

    async def started(self):
        """Return its version, once it runs."""
        return await self._answer(0)

    async def open(self, url, settings, beside=None):
        """Open a tab with these settings in its window; `beside` another one in the same profile."""
        tab = Tab(self, f"tab-{next(self._numbers)}")
        await tab.do("open", url=url, settings=settings, beside=beside and beside.name)
        return tab

    async def do(self, command, **given):
        """Have the driver do something and return its result; fails with what went wrong there."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "command": command, **given})
        self._process.stdin.write(f"{line}\n".encode())
        return await self._answer(number)

    async def _answer(self, number):
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asyncio.wait({self._answers[number], self._reading}, return_when=asyncio.FIRST_COMPLETED)
        assert not self._reading.done(), (
            f"the driver has ended: {(await self._process.stderr.read()).decode()}"
        )
        answer = self._answers.pop(number).result()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def _read(self):
        async for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer["id"]].set_result(answer)

    async def end(self):
        """Close every tab and Chromium itself."""
        self._process.stdin.close()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
            await self._reading


class Tab:
    """One tab with the page of these tests in it."""

    def __init__(self, chromium, name):
        self._chromium = chromium
        self.name = name

    def do(self, command, **given):
        """Have the driver do something with this tab."""
        return self._chromium.do(command, tab=self.name, **given)

    def play(self, name):
        """Call a function of the page and return its result; page/main.jsx lists them."""
        return self.do("play", name=name)

    async def requests(self):
        """Return every request so far, but the preflights."""
        return [Request(**request) for request in await self.do("calls")]


@asynccontextmanager
async def running_chromium():
    """Run a Chromium of its own, with everything it writes in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="token-broker-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            "node", "driver.mjs", chromium_path(), cwd=HERE, limit=LONGEST_LINE,
            env={**os.environ, "HOME": folder, "TMPDIR": folder},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        chromium = Chromium(process)
        try:
            await chromium.started()
            yield chromium
        finally:
            await chromium.end()
