"""Adds a user's token to calls of an aiohttp session, and sees to one that upstream refuses.

Only calls to one origin get it: a redirect elsewhere must not carry a token away. A call is repeated once,
with another token, if its body can be sent again: what was refused with 401 or 498 was not done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, payload
from aiohttp.hdrs import AUTHORIZATION
from yarl import URL

from token_broker_client.broker import Broker
from token_broker_client.errors import BrokerError
from token_broker_client.token import Token

REFUSED = frozenset({401, 498})
CAL_COM = "https://api.cal.com"

_log = logging.getLogger("token_broker_client")


class TokenMiddleware:
    """A client middleware: `ClientSession(middlewares=[TokenMiddleware(broker, "user-1")])`.

    `user` is the app's id of the user, or a function that says whose token a request needs (None: nobody's).
    Requests to another origin than `origin`, and those that bring an `Authorization` of their own, go as they
    are. Raises a BrokerError where the broker gives no token.
    """

    def __init__(
        self,
        broker: Broker,
        user: str | Callable[[ClientRequest], str | None],
        *,
        origin: str = CAL_COM,
        min_ttl: float = 30,
    ) -> None:
        """Keep whom to ask, for whom, and where tokens may be sent."""
        self._broker = broker
        self._user_of = user if callable(user) else lambda _: user
        self._origin = URL(origin).origin()
        self._min_ttl = min_ttl

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send the request with the user's token; once more with another one if that is refused."""
        user_id = self._whose(request)
        if user_id is None:
            return await handler(request)
        again = _can_be_sent_again(request)
        token = await self._broker.token(user_id, min_ttl=self._min_ttl)
        response = await _send(request, handler, token)
        if response.status not in REFUSED:
            return response
        better = await self._complain(user_id, token)
        if better is None or not again:
            return response
        response.release()
        return await _send(request, handler, better)

    def _whose(self, request: ClientRequest) -> str | None:
        """Return whose token belongs to the request, None when nobody's does."""
        if request.url.origin() != self._origin or AUTHORIZATION in request.headers:
            return None
        return self._user_of(request)

    async def _complain(self, user_id: str, token: Token) -> Token | None:
        """Report the token; returns another one, None when there is none or upstream still takes this one."""
        try:
            better = await self._broker.refused(user_id, token.access_token)
        except BrokerError as error:
            # The call has its answer, and that answer stands.
            _log.warning("a refused token could not be replaced: %s", error.code or type(error).__name__)
            return None
        return better if better.access_token != token.access_token else None


async def _send(request: ClientRequest, handler: ClientHandlerType, token: Token) -> ClientResponse:
    request.headers[AUTHORIZATION] = token.authorization
    return await handler(request)


def _can_be_sent_again(request: ClientRequest) -> bool:
    """Whether the body is there as a whole: no stream, no file, nothing that is read while it is sent."""
    body = request.body
    return not body or isinstance(body, bytes | payload.BytesPayload)
