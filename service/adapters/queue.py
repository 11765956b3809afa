"""The arq queue's own way to Redis: it blocks and retries as arq expects, apart from the request path."""

from __future__ import annotations

from typing import Any

import orjson
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

NAME = "tb:arq"
SERIALIZED_BY: dict[str, Any] = {"job_serializer": orjson.dumps, "job_deserializer": orjson.loads}
"""Jobs travel as JSON: arq's own choice, pickle, would run what stands in Redis."""


def open_queue(url: str) -> ArqRedis:
    """Return an unconnected queue client; jobs travel as JSON and hold ids only."""
    return ArqRedis(
        pool_or_conn=ConnectionPool.from_url(url),
        default_queue_name=NAME,
        **SERIALIZED_BY,
    )
