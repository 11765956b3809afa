"""The arq queue's own way to Redis, apart from the request path: its answers may take longer."""

from __future__ import annotations

from typing import Any

import orjson
from arq.connections import ArqRedis

from service.adapters.redis_url import Connections

NAME = "tb:arq"
SERIALIZED_BY: dict[str, Any] = {"job_serializer": orjson.dumps, "job_deserializer": orjson.loads}
"""Jobs travel as JSON: arq's own choice, pickle, would run what stands in Redis."""

_CONNECT_WITHIN_S = 2.0
_ANSWER_WITHIN_S = 10.0


def open_queue(url: str) -> ArqRedis:
    """Return an unconnected queue client; jobs hold ids only. Raises ValueError for an unusable URL."""
    connections = Connections(url, connect_timeout_s=_CONNECT_WITHIN_S, answer_timeout_s=_ANSWER_WITHIN_S)
    return ArqRedis(pool_or_conn=connections.pool, default_queue_name=NAME, **SERIALIZED_BY)
