"""What of a run anybody could read: output, stores, metrics, answers; kept until every secret of it is known.

Must import nothing of the broker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import aiohttp
import orjson

from sandbox.dev.ports import HOST
from sandbox.secrecy import Needles, Sighting, Watch, all_of_postgres, all_of_redis

if TYPE_CHECKING:
    from types import SimpleNamespace

    from sandbox.calcom import Sandbox
    from sandbox.dev.child import Facts
    from sandbox.dev.home import Home
    from sandbox.dev.ports import Ports
    from sandbox.embedded import Servers


class Kept:
    """Keeps it, and looks through it at the end."""

    def __init__(self) -> None:
        self._files: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._answers: list[tuple[str, str, bytes]] = []
        self.tokens: list[str] = []

    def line(self, who: str, facts: Facts) -> None:
        """Keep what a process wrote."""
        self._files[f"the output of {who}"] += orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)

    def answers(self) -> aiohttp.TraceConfig:
        """Return what makes a client session keep every answer it reads."""

        async def note(
            _: aiohttp.ClientSession, __: SimpleNamespace, read: aiohttp.TraceResponseChunkReceivedParams
        ) -> None:
            self._answers.append((read.method, read.url.path, read.chunk))

        config = aiohttp.TraceConfig()
        config.on_response_chunk_received.append(note)
        return config

    async def metrics(self, ports: Ports) -> None:
        """Keep what both processes say at /metrics."""
        async with aiohttp.ClientSession() as session:
            for who, port in (("service", ports.observe), ("worker", ports.worker)):
                async with session.get(f"http://{HOST}:{port}/metrics") as response:
                    self._files[f"the metrics of the {who}"] += await response.read()

    async def stores(self, servers: Servers) -> None:
        """Keep what both stores hold, and what they wrote."""
        async for table, rows in all_of_postgres(servers.postgres.url):
            self._files[f"PostgreSQL's table {table}"] += rows
        for kind, content in all_of_redis(servers.valkey.url):
            self._files[f"Redis, {kind},"] += content
        for server in servers:
            self._files[f"the log of {server.name}"] += server.log_path.read_bytes()

    def minted(self, sandbox: Sandbox | None) -> None:
        """Take down every token that upstream has issued."""
        if sandbox is not None:
            state = sandbox.state
            self.tokens += [*state.access, *state.refresh, *state.deleted]

    def leaks(self, home: Home, servers: Servers) -> list[Sighting]:
        """Return where a token, a secret or a key stands."""
        watch = Watch(self._needles(home, servers))
        for channel, content in self._files.items():
            watch.look(channel, bytes(content))
        for method, path, body in self._answers:
            watch.answer(method, path, body)
        return watch.seen

    def _needles(self, home: Home, servers: Servers) -> Needles:
        needles = Needles()
        for token in self.tokens:
            needles.add_token(token)
        for what, secret in _secrets(home):
            needles.add_key(what, secret)
        for server in servers:
            needles.add_url(f"the password of {server.name}", server.url)
        return needles


def _secrets(home: Home) -> Iterator[tuple[str, str]]:
    keys = home.keys
    yield "the encryption key", keys.encryption
    yield "the fingerprint key", keys.fingerprint
    yield "the client secret", keys.client_secret
    yield "an API key", keys.backend
    yield "an API key of jobs", keys.jobs
