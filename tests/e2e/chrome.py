"""A headless Chromium, driven over its DevTools protocol: opens a page, clicks, reads, hears its errors."""

import asyncio
import itertools
import os
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
DOMAINS = ("Runtime", "Log", "Network", "Page")


class Page:
    """One open page; `errors` are what its console said, `requested` every address it asked."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers = {}
        self._reading = asyncio.create_task(self._read())
        self.errors = []
        self.requested = []

    async def do(self, method, **params):
        """Carry out a command of the protocol and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(20):
            return await answer

    async def value(self, expression):
        """Return the value of a JavaScript expression."""
        answer = await self.do(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def text(self, selector):
        """Return what a person reads there."""
        return await self.value(f"document.querySelector({selector!r})?.innerText ?? ''")

    async def click(self, text):
        """Click the button with this text."""
        buttons = "[...document.querySelectorAll('button')]"
        await self.value(f"{buttons}.find((button) => button.innerText === {text!r}).click()")

    async def width(self, pixels):
        """Show the page this wide; returns how wide its content then is."""
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=800, deviceScaleFactor=1, mobile=True
        )
        return await self.value("document.documentElement.scrollWidth")

    async def _read(self):
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said.get("result", said))
            else:
                self._hear(said["method"], said["params"])

    def _hear(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.errors.append(params["entry"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.errors.append(params["args"])


@asynccontextmanager
async def opened(url):
    """Give a page that shows this address, in a Chromium of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={profile}"]
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *flags, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with _page(process) as page:
                for domain in DOMAINS:
                    await page.do(f"{domain}.enable")
                await page.do("Page.navigate", url=url)
                yield page
        finally:
            process.terminate()
            await process.communicate()


@asynccontextmanager
async def _page(process):
    port = await _port(process)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            page = next(target for target in await answer.json() if target["type"] == "page")
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=2**26) as socket:
            page = Page(socket)
            yield page
            page._reading.cancel()
            with suppress(asyncio.CancelledError):
                await page._reading


async def _port(process):
    """Return the port that Chromium says it listens on."""
    async with asyncio.timeout(20):
        async for line in process.stderr:
            if b"DevTools listening on" in line:
                return line.decode().split(":")[2].partition("/")[0]
    raise AssertionError("Chromium ended without having said its port")
