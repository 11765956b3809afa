"""Reads and answers the control doors' JSON; wrong input becomes a 400 that says what is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")


class Wrong(Exception):
    """The control request cannot be carried out; the status says whose fault it is."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def answer(body: object, status: int = 200) -> web.Response:
    """Return a JSON response."""
    return web.Response(status=status, body=orjson.dumps(body, default=list), content_type="application/json")


async def read(request: web.Request, adapter: TypeAdapter[Body]) -> Body:
    """Return the validated body; an empty one is an empty object. Raises Wrong."""
    try:
        return adapter.validate_json(await request.read() or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Wrong(f"{where}: {first['msg']}") from error


def number(request: web.Request, name: str, default: int) -> int:
    """Return a whole number from the path or the query. Raises Wrong."""
    raw = request.match_info.get(name) or request.query.get(name, str(default))
    if not raw.isdecimal():
        raise Wrong(f"{name} must be a whole number, not {raw!r}")
    return int(raw)


def door(handler: Door) -> Door:
    """Return the handler with its errors made answers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Wrong as error:
            return answer({"error": str(error)}, error.status)
        except ValueError as error:
            return answer({"error": str(error)}, 400)

    return handle
