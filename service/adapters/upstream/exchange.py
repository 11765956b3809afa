"""What goes to an upstream and what comes of it, as values. Holds no rule and does no I/O.

Headers, queries and bodies carry secrets, tokens and addresses, so none of them appears in a repr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `path` follows the base URL; `path` and `query` are percent-encoded already.

    `may_send` is asked when the first byte is about to leave.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    body: Mapping[str, object] | None = field(default=None, repr=False)
    may_send: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `body` is the parsed JSON; None when it was too long or was not JSON.

    `headers` holds, under lower-case names, only those that say when to come back.
    """

    status: int
    body: object = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not a byte of the request was written."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Not a byte of the request was written, because `may_send` said no."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have been written, in part or in full, and no complete answer came."""

    reason: str


Exchange = Answer | NotSent | Withheld | Lost
