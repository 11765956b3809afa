"""What the doors are given: use cases, who may come in, and how long anybody waits.

Plain values only: where they come from is none of a door's business.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.api.auditing import NO_AUDIT, Audit
from service.api.frame import ignore_wait
from service.api.peers import Network
from service.api.session import NO_WITNESSES, Witnesses
from service.api.traced import FollowRequest
from service.api.usecases import Answers, AtHand, Overviews, Readiness, Users
from service.broker.ports import Observer


class Caller(Protocol):
    """A caller of the internal listener; `clients` is None when it may act for all of them."""

    @property
    def name(self) -> str:
        """Return the caller's name."""

    @property
    def scopes(self) -> frozenset[str]:
        """Return what it may do."""

    @property
    def clients(self) -> frozenset[str] | None:
        """Return the names of the clients it may act for."""


class ApiKey(Caller, Protocol):
    """A caller that is known by its key."""

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of its key."""


class Tokens(Protocol):
    """Says whose a token is that is no key."""

    async def name(self, token: str) -> str | None:
        """Return the name of the account it belongs to, None when it does not count.

        KeysUnavailable when that cannot be known now.
        """


@dataclass(frozen=True, slots=True)
class ClientDoor:
    """What the doors know of an OAuth client.

    `origins` are the browser origins that may refresh its users' tokens; `email_suffix` is how many
    characters upstream appends to the local part of an address (Cal.com: a plus and the client id).
    """

    name: str
    origins: frozenset[str] = frozenset()
    email_suffix: int = 0


Count = Callable[[str, float], None]
"""Counts an answer by where its token came from, and the seconds it took."""


def tell_each(_: str) -> Count | None:
    """Have every answer told to the observer."""
    return None


def ignore_id(_: str) -> None:
    """Do nothing with a request's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Everything the service's three listeners need.

    `api_keys` is asked at every request, so that a mounted file may change, and `client_secrets` for the
    SHA-256 of each, to know one that is presented where it does not belong. `service_accounts` come in by
    their `tokens`, the `certified` by a name in their certificate, on an internal listener that speaks TLS
    with `internal_tls`. `enter_request` is called
    with each request's id in the request's own context, so that log lines can carry it, and `waited` there
    with the seconds that it had to wait for a cache before that, on the short way. `follow`, where
    there is one, follows each request that is no probe as a trace. `witnesses` say who is signed in; `audit`
    keeps who asked for whose token. `at_hand` hands out what a cache holds, the short way; `tally` returns
    what counts a route's good answers there, None where the observer is to be told of each.
    `overview` is what the operator page shows; without it there is none.
    """

    answers: Answers
    users: Users
    observer: Observer
    readiness: Readiness
    render_metrics: Callable[[], bytes]
    clients: Sequence[ClientDoor]
    api_keys: Callable[[], Sequence[ApiKey]]
    service_accounts: Sequence[Caller] = ()
    tokens: Tokens | None = None
    certified: Sequence[Caller] = ()
    internal_tls: ssl.SSLContext | None = None
    client_secrets: Callable[[], Iterable[bytes]] = tuple
    public_path: str = "/refresh"
    allowed_origins: frozenset[str] = frozenset()
    trusted_proxies: Sequence[Network] = ()
    address_failures_per_minute: float = 20
    answer_timeout_s: float = 8
    public_answer_timeout_s: float = 35
    enter_request: Callable[[str], object] = ignore_id
    waited: Callable[[float], object] = ignore_wait
    follow: FollowRequest | None = None
    witnesses: Witnesses = NO_WITNESSES
    audit: Audit = NO_AUDIT
    at_hand: AtHand | None = None
    tally: Callable[[str], Count | None] = tell_each
    overview: Overviews | None = None
