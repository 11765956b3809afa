"""The real processes that are told what no client would say: stores, stand-in, two services, a worker.

`main` limits nobody, so that every case is answered for what it is; `strict` counts failures by address.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from sandbox.embedded import servers
from sql.migrate import migrate
from tests.chaos import dumps
from tests.chaos import folder as names
from tests.chaos.fleet import spawn
from tests.hostile import setting
from tests.hostile.cases import filled, http
from tests.hostile.odd import odd_upstream
from tests.hostile.wire import line
from tests.support.waiting import eventually

UP_WITHIN_S = 60.0
END_WITHIN_S = 20.0
STARTS_AT_ONCE = 2
_LOOK_EVERY_S = 0.1


class Town:
    """What runs, and the names of what only it knows: tokens and keys, for the cases' braces."""

    def __init__(self, folder, drawn, stores, upstream, odd):
        self.folder = folder
        self.drawn = drawn
        self.stores = stores
        self.sandbox = upstream.sandbox
        self.odd = odd
        self.names = {**drawn["keys"], **drawn["tokens"]}
        self.documented = 0
        """Answers of 5xx that were asked for."""
        self.answers = []
        self.starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self.processes = {}

    def line(self, door, process="main", source=None):
        """Open a connection to one of a process's listeners."""
        return line(self.drawn["ports"][process][door], self.answers.append, source)

    def name(self, name, value):
        """Let the cases know a token by this name."""
        self.names[name] = value

    def filled(self, sent):
        """Return bytes with the names in place."""
        return filled(sent, self.names)

    async def ask(self, door, *lines, process="main", source=None, **request):
        """Send one request on a connection of its own; returns the answer."""
        async with self.line(door, process, source) as it:
            await it.send(http(*lines, **request))
            return await it.answer(head=request.get("method") == "HEAD")

    async def send(self, method, path, body=None, *, key="backend"):
        """Send a request to the internal listener as a service does; returns the answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"Authorization: Bearer {self.drawn['keys'][key]}"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return await self.ask("internal", *lines, method=method, target=path, body=content)

    async def call(self, method, path, body=None, *, key="backend", status=(200, 201, 204)):
        """Do the same; returns the answer's body. LookupError when it has another status."""
        answer = await self.send(method, path, body, key=key)
        if answer is None or answer.status not in status:
            raise LookupError(f"{method} {path}: {answer and answer.raw!r}")
        return json.loads(answer.body) if answer.body else None

    async def refresh(self, token, *lines, **how):
        """Be a page that holds a token; returns the answer."""
        return await self.ask("public", f"Authorization: Bearer {token}", *lines, **how)

    def start(self, name, command):
        """Start one of the product's processes; what it writes goes to a file."""
        environ = setting.environment(self.drawn, name, self.folder / "clients.toml")
        log = self.folder / names.OUTPUT / f"{name}.log"
        self.processes[name] = spawn("service.cli", [command], environ, log)

    async def ready(self):
        """Wait until every process says that it is ready."""
        for name in self.processes:
            await eventually(partial(self._is_ready, name), UP_WITHIN_S, _LOOK_EVERY_S)

    async def _is_ready(self, name):
        if self.processes[name].poll() is not None:
            raise LookupError(
                f"{name} ended: {(self.folder / names.OUTPUT / f'{name}.log').read_text()[-2000:]}"
            )
        with suppress(OSError):
            answer = await self.ask("observe", process=name, target="/readyz")
            return answer is not None and answer.status == 200
        return False

    async def end(self):
        """Write down what stores and metrics hold, and end the processes; returns their exit codes."""
        for name in self.processes:
            await asyncio.to_thread(dumps.dump_metrics, self.drawn["ports"][name], self.folder)
        await asyncio.to_thread(dumps.dump_redis, self.stores.valkey.url, self.folder)
        await asyncio.to_thread(dumps.dump_database, self.stores.postgres.url, self.folder)
        for process in self.processes.values():
            process.terminate()
        waits = [asyncio.to_thread(process.wait, END_WITHIN_S) for process in self.processes.values()]
        codes = dict(zip(self.processes, await asyncio.gather(*waits), strict=True))
        self.processes = {}
        return codes

    def kill_all(self):
        """Leave nothing running."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def outputs(self):
        """Return what each process wrote, by its name."""
        files = sorted((self.folder / names.OUTPUT).glob("*.log"))
        return {file.stem: file.read_text(errors="replace") for file in files}


@asynccontextmanager
async def town(folder, odd_clients=()):
    """Start everything in this folder; nothing is left running at the end."""
    (folder / names.OUTPUT).mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        pair = stack.enter_context(servers(folder / names.STORES, postgres_options={"fsync": "off"}))
        drawn = setting.draw(pair, odd_clients)
        await migrate(pair.postgres.url)
        upstream = await stack.enter_async_context(serve(_sandbox(drawn, folder)))
        port = int(upstream.origin.rpartition(":")[2])
        odd = await stack.enter_async_context(odd_upstream(port))
        urls = {name: odd.url(name) if name in odd_clients else upstream.url for name in drawn["clients"]}
        setting.write_clients(folder / "clients.toml", drawn, urls)
        it = Town(folder, drawn, pair, upstream, odd)
        stack.callback(it.kill_all)
        for name, command in {"main": "serve", "strict": "serve", "worker": "work"}.items():
            it.start(name, command)
        await it.ready()
        yield it


def _sandbox(drawn, folder):
    clients = tuple(SandboxClient(name, secret) for name, secret in drawn["clients"].items())
    return SandboxConfig(
        clients=clients, journal_path=folder / names.JOURNAL, journal_tokens=True, throttle=False
    )


async def refused_start(environ):
    """Start `token-broker serve` with settings it must refuse; returns its exit code and what it wrote."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "service.cli", "serve"],
        env=environ, capture_output=True, text=True, timeout=UP_WITHIN_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
