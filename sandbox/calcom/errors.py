"""What the sandbox refuses with, in upstream's exact words and envelopes.

Exceptions carry status, code, message and details; `render` makes the body. Decides nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

RATE_LIMITED = "CustomThrottlerGuard - Too many requests. Please try again later."
INVALID_ACCESS_TOKEN = "Invalid Access Token."
ACCESS_TOKEN_EXPIRED = "ACCESS_TOKEN_IS_EXPIRED"
NEST_500 = {"statusCode": 500, "message": "Internal server error"}
TOKEN_EXPIRED_STATUS = 498


class Refusal(Exception):
    """An answer in upstream's error envelope; `details` None leaves the key out."""

    def __init__(self, status: int, code: str, message: str, details: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class Crash(Exception):
    """The server dies inside the request: Nest's default 500, outside the envelope."""


def _nest(status: HTTPStatus, code: str, message: str, error: str | None) -> Refusal:
    details: dict[str, object] = {"message": message}
    if error is not None:
        details["error"] = error
    details["statusCode"] = int(status)
    return Refusal(status, code, message, details)


def unauthorized(message: str) -> Refusal:
    """Return a 401 with Nest's details."""
    return _nest(HTTPStatus.UNAUTHORIZED, "UnauthorizedException", message, "Unauthorized")


def bare_unauthorized() -> Refusal:
    """Return the 401 of an exception that was raised without a message."""
    return _nest(HTTPStatus.UNAUTHORIZED, "UnauthorizedException", "Unauthorized", None)


def forbidden(message: str) -> Refusal:
    """Return a 403 with Nest's details."""
    return _nest(HTTPStatus.FORBIDDEN, "ForbiddenException", message, "Forbidden")


def bad_request(message: str) -> Refusal:
    """Return a 400 with Nest's details."""
    return _nest(HTTPStatus.BAD_REQUEST, "BadRequestException", message, "Bad Request")


def not_found(message: str) -> Refusal:
    """Return a 404 with Nest's details."""
    return _nest(HTTPStatus.NOT_FOUND, "NotFoundException", message, "Not Found")


def conflict(message: str) -> Refusal:
    """Return a 409 with Nest's details."""
    return _nest(HTTPStatus.CONFLICT, "ConflictException", message, "Conflict")


def no_route(method: str, path: str) -> Refusal:
    """Return Nest's answer to a route that does not exist."""
    return not_found(f"Cannot {method} {path}")


def token_expired() -> Refusal:
    """Return the 498 of an access token whose row is still there."""
    return Refusal(TOKEN_EXPIRED_STATUS, "TokenExpiredException", ACCESS_TOKEN_EXPIRED, ACCESS_TOKEN_EXPIRED)


def rate_limited() -> Refusal:
    """Return the throttler's 429."""
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "ThrottlerException", RATE_LIMITED, RATE_LIMITED)


def invalid(errors: list[dict[str, Any]]) -> Refusal:
    """Return the 400 of the validation pipe; it echoes the request body, as upstream does."""
    return Refusal(HTTPStatus.BAD_REQUEST, "BadRequestException", "Bad Request Exception", {"errors": errors})


def record_missing() -> Refusal:
    """Return the Prisma filter's 404: a row vanished between read and write."""
    message = "Invalid Query: The requested record was not found."
    return Refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", message)


def already_exists() -> Refusal:
    """Return the Prisma filter's 409: a unique column refused the write."""
    message = "Invalid Input: Trying to create a record that already exists."
    return Refusal(HTTPStatus.CONFLICT, "CONFLICT", message)


def database_trouble() -> Refusal:
    """Return the Prisma filter's 500."""
    message = "There was an error, please try again later."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message)


def json_answer(status: int, body: object) -> web.Response:
    """Return a JSON response with the headers Express sends."""
    return web.Response(
        status=status, body=orjson.dumps(body), content_type="application/json", charset="utf-8"
    )


def render(refusal: Refusal, path: str, request_id: str) -> web.Response:
    """Return the refusal in the envelope of upstream's exception filters."""
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"status": "error", "timestamp": timestamp, "path": path, "error": error}
    response = json_answer(refusal.status, body)
    response.headers["X-Request-Id"] = request_id
    return response
