"""Admits the app's services: who may do what, for which client, about which user.

The user's id is taken from the path as it was sent and decoded once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel

from service.api.answer import Answer
from service.api.auditing import Auditing
from service.api.body import as_model, read_object
from service.api.callers import Callers
from service.api.doors import Caller, ClientDoor, Doors
from service.api.errors import ScopeMissing
from service.api.fields import check_user_id
from service.api.peers import Peers
from service.api.queries import read_query
from service.api.routes import Call, Handler, Operation
from service.broker.errors import BrokerError, Invalid, UserUnknown
from service.broker.model import Actor, UserKey

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Ask:
    """One admitted request of a service."""

    call: Call
    caller: Caller
    operation: Operation
    client: ClientDoor
    query: Any
    """The operation's query model, checked."""

    @property
    def user(self) -> UserKey:
        """The user in the path; UserUnknown when it cannot be a user's id."""
        return self.about(_decoded_id(self.call.raw_id))

    @property
    def actor(self) -> Actor:
        """Who orders it, and in which request."""
        return Actor(self.caller.name, self.call.request_id)

    def about(self, user_id: str) -> UserKey:
        """Return the key of this client's user, and note it for the log."""
        self.call.key = UserKey(self.client.name, user_id)
        return self.call.key

    def require(self, scope: str) -> None:
        """Refuse a caller that lacks the scope."""
        _require(self.caller, (scope,))

    async def body(self, model: type[M]) -> M:
        """Return the body as this model; Invalid names every field that does not fit."""
        return self.as_model(await self.raw_body(), model)

    async def raw_body(self) -> dict[str, Any]:
        """Return the body unchecked, for calls whose body may be of several models."""
        return await read_object(self.call.request, optional=self.operation.body_optional)

    def as_model(self, value: dict[str, Any], model: type[M]) -> M:
        """Check a body that was read before against the model."""
        return as_model(value, model, {"email_suffix": self.client.email_suffix})


Served = Callable[[Ask], Awaitable[Answer]]


class Admission:
    """Knows the callers and the clients."""

    def __init__(self, doors: Doors) -> None:
        self.callers = Callers(doors)
        self.auditing = Auditing(doors.audit, Peers(doors.trusted_proxies))
        self._clients = {client.name: client for client in doors.clients}
        self._sole = doors.clients[0] if len(doors.clients) == 1 else None

    def guard(self, operation: Operation, served: Served) -> Handler:
        """Return a handler that lets `served` see admitted requests only."""

        async def handle(call: Call) -> Answer:
            caller = await self.callers.who(call.request, call.query)
            with self.auditing.order(call, caller.name, operation):
                self._name_user(call, caller, operation)
                _require(caller, operation.scopes)
                query = read_query(call.query, operation.query)
                return await served(Ask(call, caller, operation, self._client(caller, query.client), query))

        return handle

    def client_of(self, caller: Caller, operation: Operation) -> str:
        """Return whose users a call without a query is about; what `guard` refuses it for is raised."""
        _require(caller, operation.scopes)
        return self._only_client(caller).name

    def user_at(self, client: str, raw_id: str) -> UserKey:
        """Return the client's user of this id in a path; UserUnknown when it cannot be one."""
        return UserKey(client, _decoded_id(raw_id))

    def _name_user(self, call: Call, caller: Caller, operation: Operation) -> None:
        """Note whom the path is about, if it can be told: an order that is refused is kept as well."""
        if call.raw_id:
            with suppress(BrokerError):
                client = self._client(caller, read_query(call.query, operation.query).client)
                call.key = UserKey(client.name, _decoded_id(call.raw_id))

    def _client(self, caller: Caller, name: str | None) -> ClientDoor:
        if name is None:
            return self._only_client(caller)
        client = self._clients.get(name)
        if client is None:
            raise Invalid(fields={"client": "names no OAuth client that is configured here"})
        if caller.clients is not None and name not in caller.clients:
            # To this caller, another client's users do not exist.
            raise UserUnknown
        return client

    def _only_client(self, caller: Caller) -> ClientDoor:
        if self._sole is not None and caller.clients is None:
            return self._sole
        within = [c for c in self._clients.values() if caller.clients is None or c.name in caller.clients]
        if len(within) != 1:
            raise Invalid(fields={"client": "is required: there are several OAuth clients"})
        return within[0]


def _require(caller: Caller, scopes: Sequence[str]) -> None:
    if not caller.scopes.intersection(scopes):
        raise ScopeMissing(f"The caller may not do that: it needs the scope {' or '.join(scopes)}.")


def _decoded_id(raw: str) -> str:
    try:
        escaped = "%" in raw
        return check_user_id(unquote_to_bytes(raw.encode("ascii")).decode("ascii") if escaped else raw)
    except ValueError:
        raise UserUnknown from None
