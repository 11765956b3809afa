"""Looks at Redis: whether it can be reached, takes writes and scripts, keeps what it is given, and how soon.

Uses no command that the documented user of Redis may not use, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.adapters.redis_url import Connection, Connections, packed
from service.doctor.clocks import Offset, Wall, offset_of
from service.doctor.findings import Finding, unseen, wrong
from service.doctor.redis_rules import Facts, judge_info, judge_latency

if TYPE_CHECKING:
    from service.settings import Settings

URL = "TOKEN_BROKER_REDIS_URL"
_ROUNDS = 7
_ANSWER_WITHIN_S = 2.0

_UNREACHABLE: tuple[tuple[type[BaseException], str, str], ...] = (
    (AuthenticationError, "it refuses user or password", f"Put the right user and password into {URL}."),
    (
        NoPermissionError,
        "its user lacks a permission",
        "Give the user what docs/kubernetes.md lists (ACL SETUSER).",
    ),
    (
        BusyLoadingError,
        "it is still reading its data",
        "Wait until it is up: the broker goes on without it meanwhile.",
    ),
    (
        ReadOnlyError,
        "it is a replica, which takes no writes",
        f"Have {URL} lead to the primary, or to the sentinels.",
    ),
    (
        OutOfMemoryError,
        "it is full",
        "Raise maxmemory, or find out what else fills it: the broker's own keys all expire.",
    ),
    (
        TimeoutError,
        "it did not answer in time",
        f"Let this machine reach it (firewall, network policy), or correct host and port in {URL}.",
    ),
    (
        RedisTimeoutError,
        "it did not answer in time",
        f"Let this machine reach it (firewall, network policy), or correct host and port in {URL}.",
    ),
    (
        ssl.SSLError,
        "its certificate is not accepted",
        f"Name its authority in {URL} (ssl_ca_certs=), and the host as the certificate has it.",
    ),
    (
        socket.gaierror,
        "its host cannot be resolved",
        f"Correct the host in {URL}, or the DNS of this machine.",
    ),
    (
        ResponseError,
        "it refuses a command",
        "Give the user what docs/kubernetes.md lists (ACL SETUSER), and see that it is "
        "Redis 6.2, Valkey 7.2 or newer.",
    ),
)


async def examine_redis(settings: Settings, offsets: dict[str, Offset], wall: Wall) -> list[Finding]:
    """Return everything that is to be said of Redis."""
    url = settings.redis_url.value
    if not url:
        return [unseen("redis", f"not looked at: {URL} cannot be used")]
    connections = None
    try:
        connections = Connections(url, connect_timeout_s=_ANSWER_WITHIN_S, answer_timeout_s=_ANSWER_WITHIN_S)
        return await _examine(connections.make(), offsets, wall)
    except (RedisError, OSError, ValueError) as error:
        return [_unreachable(error)]
    finally:
        if connections is not None:
            await connections.aclose()


def _unreachable(error: BaseException) -> Finding:
    """Say why it cannot be used; redis-py wraps what the socket said."""
    causes = [error, *filter(None, (error.__cause__, error.__context__))]
    for kind, what, mend in _UNREACHABLE:
        if any(isinstance(cause, kind) for cause in causes):
            return wrong("redis.reachable", f"Redis cannot be used: {what}", mend)
    what = f"Redis cannot be used ({type(error).__name__})"
    return wrong(
        "redis.reachable",
        what,
        f"Start it, or correct host and port in {URL}. Meanwhile the broker works without it, slower.",
    )


async def _examine(connection: Connection, offsets: dict[str, Offset], wall: Wall) -> list[Finding]:
    try:
        await connection.connect()
        times_s = tuple([await _timed(connection) for _ in range(_ROUNDS)])
        await _write(connection)
        asked_at, began_s = wall(), time.monotonic()
        seconds, micros = await _ask(connection, "TIME")
        took_s = time.monotonic() - began_s
        there = datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)
        offsets["Redis'"] = offset_of(there, asked_at, took_s)
        facts = Facts(await _info(connection), times_s)
    finally:
        with suppress(RedisError, OSError):
            await connection.disconnect(nowait=True)
    return [judge_latency(facts), *judge_info(facts)]


async def _timed(connection: Connection) -> float:
    began_s = time.monotonic()
    await _ask(connection, "PING")
    return time.monotonic() - began_s


async def _write(connection: Connection) -> None:
    """Write as the broker does: under its prefix, with an end, by a script."""
    key = "tb:doctor"
    await _ask(connection, "EVAL", "return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])", 1, key, 1000)
    await _ask(connection, "DEL", key)


async def _info(connection: Connection) -> dict[str, str]:
    """Return INFO as names and values; empty where the user may not ask for it."""
    try:
        raw = await _ask(connection, "INFO")
    except NoPermissionError:
        return {}
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


async def _ask(connection: Connection, *words: str | int) -> Any:  # noqa: ANN401 - whatever it answers
    async with asyncio.timeout(_ANSWER_WITHIN_S):
        await connection.send_packed_command(packed(words))
        answer = await connection.read_response()
    if isinstance(answer, RedisError):
        raise answer
    return answer
