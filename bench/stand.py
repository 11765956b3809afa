"""What every contestant stands on: the stores with their users in them, the stub upstream, the generator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench import stored
from bench.generator import Load, build
from bench.machine import Cores, settle_on
from bench.people import Person, Sizes, people
from bench.programs import Program, free_port, python, running
from sandbox.embedded import folder
from sandbox.embedded.postgres import Postgres
from sandbox.embedded.valkey import Valkey

_POSTGRES = {"max_connections": "300", "shared_buffers": "256MB"}


@dataclass(frozen=True, slots=True)
class Crowd:
    """A run's users by what is done to them."""

    lookups: list[Person]
    rotations: list[Person]
    handwritten: list[Person]

    @classmethod
    def of(cls, sizes: Sizes) -> Crowd:
        """Make them; nobody is two of them."""
        counts = (sizes.lookups, sizes.rotations, sizes.handwritten)
        return cls(*(people(count, first=n * 1_000_000) for n, count in enumerate(counts)))


@dataclass(frozen=True, slots=True)
class Stand:
    """Everything that is up before the first contestant is."""

    place: Path
    cores: Cores
    load: Load
    crowd: Crowd
    sizes: Sizes
    server_url: str
    database_url: str
    peers_url: str
    redis_url: str
    rotating_redis_url: str
    upstream: Program


@contextmanager
def stand(cores: Cores, sizes: Sizes) -> Iterator[Stand]:
    """Start the stores and the stub, and put the users into them."""
    settle_on(cores.rest)
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        load = build(place)
        postgres = _started(stack, Postgres(_below(place, "stores"), options=_POSTGRES))
        redis = _started(stack, Valkey(_below(place, "cache")))
        # One of its own, for every rotation is told to all processes on the same Redis.
        rotating = _started(stack, Valkey(_below(place, "rotating")))
        upstream = stack.enter_context(stub(place, cores))
        crowd = Crowd.of(sizes)
        database, peers = asyncio.run(_fill(postgres, redis, crowd))
        yield Stand(place, cores, load, crowd, sizes, postgres, database, peers, redis, rotating, upstream)


@contextmanager
def stub(place: Path, cores: Cores, *, delay_ms: int = 0) -> Iterator[Program]:
    """Run a stub upstream that answers after so long."""
    port = free_port()
    command = python("bench.upstream", port, delay_ms)
    with running(f"upstream {delay_ms}", command, port=port, folder=place, cores={cores.rest}) as program:
        yield program


def calls(upstream: Program) -> dict[str, Any]:
    """Return how many pairs the stub has replaced, and when its last answer was written."""
    return json.loads(get(upstream.port, "/calls"))  # type: ignore[no-any-return]


def get(port: int, path: str, headers: dict[str, str] | None = None) -> str:
    """Return the body of a page of a program on this machine."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _below(place: Path, name: str) -> Path:
    below = place / name
    below.mkdir(mode=0o711)
    return below


def _started(stack: ExitStack, server: Postgres | Valkey) -> str:
    stack.callback(server.stop)
    return server.start()


async def _fill(server_url: str, redis_url: str, crowd: Crowd) -> tuple[str, str]:
    database = await stored.create_database(server_url, "broker")
    peers = await stored.create_database(server_url, "peers")
    await stored.prepare_broker(database)
    await stored.store_people(database, [*crowd.lookups, *crowd.rotations])
    await stored.cache_people(redis_url, crowd.lookups)
    await stored.store_for_peers(peers, crowd.lookups, crowd.handwritten)
    await stored.cache_for_peers(redis_url, crowd.lookups)
    return database, peers
