"""The users of a run and what is sent for them. Says nothing of where they are stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import tokens
from bench.generator import Request

_FIRST_OWNER = 1_000_000


@dataclass(frozen=True, slots=True)
class Person:
    """A user with the pair in force, and the token of the generation before it that a tab still holds."""

    owner: int
    superseded: str
    current: str
    refresh: str
    ends_at: int

    @property
    def id(self) -> str:
        """The app's own id of this user."""
        return f"user-{self.owner}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many users of each kind."""

    lookups: int
    near: int
    rotations: int
    handwritten: int
    due: int


FULL = Sizes(lookups=40_000, near=50, rotations=4_000, handwritten=50_000, due=12_000)
QUICK = Sizes(lookups=4_000, near=20, rotations=400, handwritten=1_000, due=1_000)


def people(count: int, *, first: int = 0, ends_in_s: int = tokens.LIFETIME_S) -> list[Person]:
    """Make so many users, each with tokens of their own."""
    ends_at = int(time.time()) + ends_in_s
    owners = range(_FIRST_OWNER + first, _FIRST_OWNER + first + count)
    return [
        Person(
            owner,
            tokens.access_token(owner, ends_at - 1800),
            tokens.access_token(owner, ends_at),
            tokens.refresh_token(owner),
            ends_at,
        )
        for owner in owners
    ]


def with_token(crowd: Sequence[Person], path: str = "/refresh") -> list[Request]:
    """Ask for each user with the superseded token, as a page does; the current one must come back."""
    return [Request(_get(path, one.superseded), _begins(one.current)) for one in crowd]


def with_current(crowd: Sequence[Person], path: str = "/refresh") -> list[Request]:
    """Ask for each user with the token in force; a token must come back."""
    return [Request(_get(path, one.current), b'{"accessToken":"ey') for one in crowd]


def by_user(crowd: Sequence[Person], api_key: str) -> list[Request]:
    """Ask for each user's token by the user's id, as a service does."""
    return [Request(_get(f"/v1/users/{one.id}/token", api_key), _begins(one.current)) for one in crowd]


def to_rotate(crowd: Sequence[Person], api_key: str) -> list[Request]:
    """Have each user's pair replaced; a new token must come back."""
    return [Request(_post(f"/v1/users/{one.id}/refresh", api_key), b'{"accessToken":"ey') for one in crowd]


def always(requests: Sequence[Request], body: bytes) -> list[Request]:
    """Return the same requests, all of which are answered with this very body."""
    return [Request(request.sent, body) for request in requests]


def _begins(token: str) -> bytes:
    return b'{"accessToken":"%b"' % token.encode()


def _get(path: str, bearer: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{_headers(bearer)}\r\n".encode()


def _post(path: str, bearer: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\n{_headers(bearer)}Content-Length: 2\r\n\r\n{{}}".encode()


def _headers(bearer: str) -> str:
    return (
        "Host: 127.0.0.1\r\nAccept: */*\r\n"
        f"Authorization: Bearer {bearer}\r\nContent-Type: application/json\r\n"
    )
