"""What a case is: bytes that go to a listener, and the one answer that may come back.

Names in braces, such as {ann}, stand for tokens and keys that only a running town knows. Imports nothing
of the project: the tables are data.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

HOST = "Host: broker.test"
CANARY = "kanar1envogel"
"""Stands in what is sent; must stand in no answer, log line, metric or store."""
KEY = "Authorization: Bearer {backend}"
JSON = "Content-Type: application/json"
APP = "https://app.example.com"
"""The one origin that may ask."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request and its answer; `status` None: the connection ends without one.

    `closed`: the connection must end after the answer; else it must answer another request. `may_break`:
    so much is sent that the answer may be lost on the way. `gives`: whose current token the answer holds.
    `fields`: the fields that the answer says are wrong, exactly. `has`, `holds`, `lacks`: header lines and
    parts of the body that must, and must not, be there.
    """

    row: str
    what: str
    sent: bytes
    status: int | None
    code: str | None = None
    door: str = "public"
    closed: bool = False
    may_break: bool = False
    gives: str | None = None
    fields: frozenset[str] | None = None
    has: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    origin: str | None = None
    head: bool = False


@dataclass(frozen=True)
class Story:
    """A case of several steps; `play` returns what was wrong.

    `patient` ones wait, beside all others; `late` ones look at what all others have left behind.
    """

    row: str
    what: str
    play: Callable[[Any], Awaitable[list[str]]]
    patient: bool = False
    late: bool = False


def http(*lines, target="/refresh", method="GET", version="HTTP/1.1", host=HOST, body=b"", ends=b"\r\n"):
    """Return a request as bytes, exactly as its parts are given; text goes out as UTF-8."""
    head = [f"{method} {target} {version}", *([host] if host else []), *lines]
    return b"".join(_bytes(line) + ends for line in head) + ends + _bytes(body)


_PARTS = ("target", "method", "version", "host", "body", "ends")


def _bytes(line):
    return line if isinstance(line, bytes) else line.encode()


def asks(row, what, status, code, *lines, **more):
    """Return a case of one request, made of what `http` takes; all else is what `Case` has of its answer."""
    request = {part: more.pop(part) for part in _PARTS if part in more}
    head = request.get("method") == "HEAD"
    return Case(row=row, what=what, sent=http(*lines, **request), status=status, code=code, head=head, **more)


def unparsable(row, what, *lines, **more):
    """Return a case of what is no HTTP: one constant answer, and the connection ends."""
    return asks(row, what, 400, "malformed", *lines, closed=True, **more)


def raw(row, what, sent, status=400, code="malformed", *, closed=True, **more):
    """Return a case of bytes that are sent as they are."""
    return Case(row=row, what=what, sent=sent, status=status, code=code, closed=closed, **more)


def filled(sent, names):
    """Return a case's bytes with the names in place, and the length of the body that they make."""
    for name, value in names.items():
        sent = sent.replace(b"{%s}" % name.encode(), value.encode())
    length = len(sent.partition(b"\r\n\r\n")[2])
    return sent.replace(b"{length}", b"%d" % length, 1)


def calls(row, what, status, code, body=None, *lines, **more):
    """Return a case of the internal listener, with a key; a body that is no bytes goes out as JSON."""
    key, kind = more.pop("key", KEY), more.pop("kind", JSON)
    more = {"door": "internal", "method": "POST", "target": "/v1/users", **more}
    head = [key] if key else []
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        head += [*([kind] if kind else []), "Content-Length: {length}"]
    return asks(row, what, status, code, *head, *lines, body=body or b"", **more)


def invalid(row, what, body, *fields, **more):
    """Return a case of a body that is JSON and has these wrong fields."""
    return calls(row, what, 422, "invalid", body, fields=frozenset(fields), **more)
