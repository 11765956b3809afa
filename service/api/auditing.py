"""Says to the audit who asks at a door, and what came of it: address, origin, caller, request.

What the request is about is learned on the way. Decides nothing: an answer is the same with and without it.
"""

from __future__ import annotations

from asyncio import get_running_loop
from functools import lru_cache
from typing import Protocol

from service.api.peers import Address, Peers
from service.api.routes import Call, Operation
from service.broker.asking import LONGEST_AGENT, Asking, begin, end
from service.broker.behind import DONE
from service.broker.errors import BrokerError

EXCHANGED = "token.exchanged"
FAILED = "internal"
ANOTHER_USERS = "another_users"


class Audit(Protocol):
    """Keeps what happened at a door."""

    def exchanged(self, asking: Asking, event: str, outcome: str) -> None:
        """Keep how a token was asked for, and what came of it."""

    def refused(self, asking: Asking, act: str, outcome: str) -> None:
        """Keep that an order was not carried out."""


class _NoAudit:
    def exchanged(self, asking: Asking, event: str, outcome: str) -> None:
        """Keep nothing."""

    def refused(self, asking: Asking, act: str, outcome: str) -> None:
        """Keep nothing."""


NO_AUDIT = _NoAudit()


class Auditing:
    """Brackets what a door does for a request: `with auditing.exchange(call): ...`."""

    def __init__(self, audit: Audit, peers: Peers) -> None:
        self._audit = audit
        self._peers = peers

    def exchange(self, call: Call) -> _Bracket:
        """Keep what becomes of a browser's token."""
        return _Bracket(self._audit, call, self.who(call), EXCHANGED, "")

    def order(self, call: Call, caller: str, operation: Operation) -> _Bracket:
        """Keep what becomes of a service's asking for a token, and of an order that is not carried out."""
        return _Bracket(self._audit, call, self.who(call, caller), operation.exchange, operation.act)

    def who(self, call: Call, caller: str | None = None) -> Asking:
        """Return who asks in this request."""
        # No more than is hashed: much of this may wait to be told, and a stranger chooses how long it is.
        agent = call.request.headers.get("User-Agent", "")[:LONGEST_AGENT]
        address = _text(self._peers.address_of(call.request))
        return Asking(call.request_id, address, call.origin, agent, caller)


@lru_cache(maxsize=1024)
def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


class _Bracket:
    """One request; a class, since a generator costs every answer several times as much.

    An exchange is kept once its answer has left: nobody waits for it, nor can tell by the time that a refusal
    takes whether there was a user to keep something of.
    """

    __slots__ = ("_act", "_asking", "_audit", "_call", "_exchange")

    def __init__(self, audit: Audit, call: Call, asking: Asking, exchange: str, act: str) -> None:
        self._audit = audit
        self._call = call
        self._asking = asking
        self._exchange = exchange
        self._act = act

    def __enter__(self) -> None:
        begin(self._asking)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        end()
        asking, key = self._asking, self._call.key
        if key is not None and asking.key not in (None, key):
            # What is known of the token is the other user's, and has no place in this one's history.
            asking.presented, asking.fingerprint, asking.reason = None, None, ANOTHER_USERS
        asking.key = key or asking.key
        outcome = DONE if error is None else error.code if isinstance(error, BrokerError) else FAILED
        if self._exchange:
            get_running_loop().call_soon(self._audit.exchanged, asking, self._exchange, outcome)
        elif self._act and error is not None:
            self._audit.refused(asking, self._act, outcome)
