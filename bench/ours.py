"""The broker's own contestants: the hit paths with shipped defaults, and what each variant changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis.asyncio

from bench import people
from bench.contestants import UNCOUNTED, Contestant
from bench.generator import Load, Request, write_requests
from bench.programs import Program, free_port, python, running
from bench.settings import API_KEY, NO_LIMITS, environment
from bench.stand import Stand

_SERVE = ("service.cli", "serve")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and its listeners."""

    program: Program
    public: int
    internal: int
    observe: int


def start(
    stack: ExitStack,
    stand: Stand,
    name: str,
    *,
    module: tuple[str, ...] = _SERVE,
    redis_url: str | None = None,
    upstream: Program | None = None,
    processes: int = 1,
    changes: Mapping[str, str] | None = None,
) -> Service:
    """Start a service on the stand; with two processes it has two cores."""
    ports = (free_port(), free_port(), free_port())
    upstream_port = (upstream or stand.upstream).port
    env = environment(stand.database_url, redis_url or stand.redis_url, upstream_port, ports)
    env |= {"TOKEN_BROKER_WORKERS": str(processes), **(changes or {})}
    cores = {stand.cores.server, stand.cores.second} if processes > 1 else {stand.cores.server}
    program = stack.enter_context(
        running(
            name, python(*module), port=ports[0], folder=stand.place, cores=cores, env=env,
            says='"service.started"',
        )
    )  # fmt: skip
    return Service(program, *ports)


@dataclass(frozen=True, slots=True)
class Asked:
    """The files of what is asked of the broker."""

    superseded: Path
    by_user: Path
    to_rotate: Path

    @classmethod
    def of(cls, stand: Stand) -> Asked:
        """Write them."""
        crowd, near = stand.crowd, stand.crowd.lookups[: stand.sizes.near]
        write = partial(_write, stand.place)
        return cls(
            write("superseded", people.with_token(crowd.lookups)),
            write("by_user", people.by_user(near, API_KEY)),
            write("to_rotate", people.to_rotate(crowd.rotations, API_KEY)),
        )


def _write(place: Path, name: str, requests: list[Request]) -> Path:
    return write_requests(place / f"{name}.requests", requests)


def contestants(stack: ExitStack, stand: Stand) -> list[Contestant]:
    """Start every service of ours and return the contestants that they are."""
    asked = Asked.of(stand)
    return [*_hits(stack, stand, asked), *_variants(stack, stand, asked), *_slower(stack, stand, asked)]


def _hits(stack: ExitStack, stand: Stand, asked: Asked) -> list[Contestant]:
    shipped = start(stack, stand, "broker")
    return [
        Contestant(
            "near", "token by user, near hit", shipped.program, asked.by_user, shipped.internal,
            before=partial(_remind, stand.load, shipped.internal, asked.by_user), source="near",
            observe=shipped.observe,
        ),
        Contestant(
            "redis", "/refresh, superseded, Redis hit", shipped.program, asked.superseded, shipped.public,
            source="redis", observe=shipped.observe,
        ),
    ]  # fmt: skip


def _remind(load: Load, port: int, requests: Path) -> None:
    """Ask for each user shortly before the burst: what a process remembers it remembers for a second."""
    load.burst(port, requests, connections=8, first=0, warm_s=0.0, burst_s=0.05, watched=[])


def _variants(stack: ExitStack, stand: Stand, asked: Asked) -> list[Contestant]:
    logs_all = start(stack, stand, "broker log all", changes={"TOKEN_BROKER_ACCESS_LOG": "all"})
    unobserved = start(stack, stand, "broker unobserved", module=("bench.unobserved",))
    two = start(stack, stand, "broker two", processes=2)
    return [
        Contestant(
            "redis_log_all", "the same, ACCESS_LOG=all", logs_all.program, asked.superseded,
            logs_all.public, source="redis", observe=logs_all.observe,
        ),
        Contestant(
            "redis_unobserved", "the same, all observability off", unobserved.program, asked.superseded,
            unobserved.public, source=UNCOUNTED, observe=unobserved.observe,
        ),
        Contestant(
            "redis_two", "the same, two processes", two.program, asked.superseded, two.public,
            source="redis", observe=two.observe,
        ),
    ]  # fmt: skip


def _slower(stack: ExitStack, stand: Stand, asked: Asked) -> list[Contestant]:
    # A database of its own in Redis, emptied before each burst, so that no answer is cached.
    cold_url = stand.redis_url.removesuffix("/0") + "/1"
    cold = start(stack, stand, "broker cold", redis_url=cold_url)
    rotating = start(stack, stand, "broker rotating", redis_url=stand.rotating_redis_url, changes=NO_LIMITS)
    return [
        Contestant(
            "postgres", "/refresh, superseded, PostgreSQL hit", cold.program, asked.superseded, cold.public,
            before=partial(_empty, cold_url), source="postgres", observe=cold.observe,
        ),
        Contestant(
            "rotation", "rotation on request", rotating.program, asked.to_rotate, rotating.internal,
            source="rotation", observe=rotating.observe,
        ),
    ]  # fmt: skip


def _empty(redis_url: str) -> None:
    async def flush() -> None:
        client = redis.asyncio.from_url(redis_url)  # type: ignore[no-untyped-call]
        await client.flushdb()
        await client.aclose()

    asyncio.run(flush())
