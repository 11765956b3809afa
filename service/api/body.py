"""Reads the JSON body of a request into a model: size, time, media type, syntax and fields, in that order.

Stricter than the parser it uses: one spelling of every key, only numbers that JSON knows, text that can
be stored. Never repeats a value it refuses.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from aiohttp import HttpVersion11, web
from pydantic import BaseModel, ValidationError

from service.api.complaints import complaints
from service.api.errors import BodyBroken, BodyTooSlow, Malformed, MediaTypeRefused, TooLarge
from service.broker.errors import Invalid

MAX_BODY = 16384
DEADLINE_S = 6.0
"""From the end of the head to the end of the body."""
MAX_DEPTH = 16
MAX_DIGITS = 20

M = TypeVar("M", bound=BaseModel)


async def read_object(request: web.BaseRequest, *, optional: bool = False) -> dict[str, Any]:
    """Return the body, which must be one JSON object; an `optional` one that is absent counts as empty."""
    if not request.body_exists:
        if optional:
            return {}
        raise Malformed("The body is missing: a JSON object is expected.")
    _require_json(request)
    return parse_object(await _read(request))


def as_model(value: dict[str, Any], model: type[M], context: Mapping[str, object]) -> M:
    """Check a parsed object against the model; Invalid names every field that does not fit."""
    try:
        return model.model_validate(value, context=dict(context))
    except ValidationError as error:
        raise Invalid(fields=complaints(error)) from None


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object; Malformed for everything else that bytes can be."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON, or repeats a key, or holds a number out of range.") from None
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    _check_text(value, 0)
    return value


def _require_json(request: web.BaseRequest) -> None:
    media_type, *parameters = request.headers.get("Content-Type", "").lower().split(";")
    charsets = {parameter.strip().replace('"', "") for parameter in parameters}
    plain = request.headers.get("Content-Encoding", "identity").lower() == "identity"
    if media_type.strip() != "application/json" or charsets - {"", "charset=utf-8"} or not plain:
        raise MediaTypeRefused


async def _read(request: web.BaseRequest) -> bytes:
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await request.read()
    except TimeoutError:
        raise BodyTooSlow from None
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge from None
    except (web.RequestPayloadError, OSError):
        raise BodyBroken from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number is out of range")
    return int(text)


def _check_text(value: object, depth: int) -> None:
    """Refuse what nests too deep and text with lone surrogates, which no encoder takes."""
    if depth > MAX_DEPTH:
        raise Malformed("The body nests deeper than any request here needs.")
    if isinstance(value, str):
        _check_surrogates(value)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_surrogates(name)
            _check_text(item, depth + 1)


def _check_surrogates(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Malformed("The body holds half of a character (a lone surrogate).")
