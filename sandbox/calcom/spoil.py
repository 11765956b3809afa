"""Answers that are wrong on purpose: errors of proxies and servers, and bodies that lie.

Builds responses only; when a call suffers one is decided in `faults`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from sandbox.calcom import errors
from sandbox.calcom.faults import Draws, FaultKind
from sandbox.calcom.throttle import limit_headers

HTML = (
    "<!DOCTYPE html>\n<html><head><title>{status} Bad gateway</title></head>\n"
    "<body><h1>Error {status}</h1><p>The web server reported a bad gateway error.</p></body></html>\n"
)


def before(draws: Draws, request: web.Request) -> web.Response | None:
    """Return the answer of a call that was refused before anything was executed."""
    if FaultKind.ROUTE_REMOVED in draws:
        return _enveloped(errors.no_route(request.method, request.path_qs), request)
    if FaultKind.THROTTLED in draws:
        response = _enveloped(errors.rate_limited(), request)
        response.headers.update(limit_headers(500, 0, draws[FaultKind.THROTTLED].fault.reset_s))
        return response
    return _proxy_error(draws, FaultKind.HTML_BEFORE) or _server_error(draws, FaultKind.ERROR_BEFORE)


def after(draws: Draws, response: web.Response) -> web.Response:
    """Return what becomes of the answer of a call that was executed."""
    broken = _proxy_error(draws, FaultKind.HTML_AFTER) or _server_error(draws, FaultKind.ERROR_AFTER)
    if broken is not None:
        return broken
    if FaultKind.MALFORMED in draws and response.status in {200, 201}:
        _malform(response, str(draws[FaultKind.MALFORMED].fault.variant))
    return response


def _enveloped(refusal: errors.Refusal, request: web.Request) -> web.Response:
    return errors.render(refusal, request.path_qs, str(uuid.uuid4()))


def _proxy_error(draws: Draws, kind: FaultKind) -> web.Response | None:
    if kind not in draws:
        return None
    status = draws[kind].fault.status or 502
    return web.Response(status=status, text=HTML.format(status=status), content_type="text/html")


def _server_error(draws: Draws, kind: FaultKind) -> web.Response | None:
    if kind not in draws:
        return None
    status = draws[kind].fault.status or 500
    return errors.json_answer(status, {**errors.NEST_500, "statusCode": status})


def _malform(response: web.Response, variant: str) -> None:
    body = response.body if isinstance(response.body, bytes) else b""
    response.body = _MALFORM[variant](orjson.loads(body or b"{}"))


def _with_tokens(body: dict[str, Any], value: object) -> bytes:
    return orjson.dumps({**body, "data": {**_data(body), "accessToken": value, "refreshToken": value}})


def _without(body: dict[str, Any], *names: str) -> bytes:
    kept = {name: value for name, value in _data(body).items() if name not in names}
    return orjson.dumps({**body, "data": kept})


def _data(body: dict[str, Any]) -> dict[str, Any]:
    data = body.get("data")
    return data if isinstance(data, dict) else {}


_MALFORM: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "missing_tokens": lambda body: _without(body, "accessToken", "refreshToken"),
    "empty_tokens": lambda body: _with_tokens(body, ""),
    "number_tokens": lambda body: _with_tokens(body, 7),
    "no_expiry": lambda body: _without(body, "accessTokenExpiresAt", "refreshTokenExpiresAt"),
    "null_data": lambda body: orjson.dumps({**body, "data": None}),
    "array": lambda body: orjson.dumps([body]),
    "not_json": lambda _: b"OK, but this is no JSON {",
    "empty_body": lambda _: b"",
}
