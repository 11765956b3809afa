"""Who asks on the short way, and for whom: the doors' own checks, in their order.

What depends on a client's headers alone, but for its token, is found out once as long as they stay the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from service.api.auditing import EXCHANGED
from service.api.bearer import may_be_token, parse_bearer
from service.api.cors import require_fetch
from service.api.express.hits import Express, Visit
from service.api.frame import given_id, new_id
from service.api.internal import TOKEN_ROUTE
from service.api.operations import TOKEN
from service.api.routes import Call
from service.api.views import fresh_token, service_token
from service.broker.asking import Asking
from service.broker.model import CurrentToken
from service.broker.ports import CacheHit

if TYPE_CHECKING:
    from aiohttp import web

    from service.api.admission import Admission
    from service.api.doors import Doors
    from service.api.express.plain import PlainRequest
    from service.api.frame import Frame
    from service.api.internal import InternalDoor
    from service.api.public import PublicDoor
    from service.api.usecases import AtHand


@dataclass(slots=True)
class _Page:
    """A browser's page, as its headers show it."""

    asking: Asking
    sharing: bytes
    address: Hashable
    given_id: str | None


class Browsers:
    """The requests of the public listener."""

    exchange = EXCHANGED

    def __init__(self, door: PublicDoor, at_hand: AtHand) -> None:
        self.route = door.path
        self.write: Callable[[CurrentToken], bytes] = fresh_token
        self._door = door
        self._at_hand = at_hand

    def look(self, request: PlainRequest) -> Visit | None:
        """Look for the token that is presented."""
        if request.raw_path != self.route:
            return None
        headers = request.headers
        page = headers.memo.get("page") or self._page(request)
        token = headers.token or parse_bearer(headers, "")
        fingerprint = self._at_hand.fingerprint(token) if may_be_token(token) else None
        if fingerprint is None:
            return None
        asking = page.asking.again(page.given_id or new_id())
        asking.fingerprint = fingerprint
        return Visit(fingerprint, asking, page.sharing, page.address)

    def give(self, visit: Visit, hit: CacheHit, now: datetime) -> CurrentToken | None:
        """Give a page that may ask for this client's users the token in force."""
        asking, visit.entry = visit.asking, hit.presented
        if not self._door.origins.allows(asking.origin, hit.current.key.client):
            return None
        asking.presented = hit.presented.generation
        return self._at_hand.for_browser(hit, now)

    def _page(self, request: PlainRequest) -> _Page:
        call = Call(cast("web.BaseRequest", request), route=self.route)
        self._door.origins.admit(call)
        require_fetch(call)
        asking, caller = self._door.auditing.who(call), self._door.caller_of(call.request)
        page = _Page(asking, call.sharing, caller, given_id(request.headers))
        request.headers.memo["page"] = page
        return page


@dataclass(slots=True)
class _Service:
    """A service, as its key and its other headers show it."""

    asking: Asking
    client: str
    vouch: bool
    presented: str | None
    keys: Any
    given_id: str | None


_TOKEN_OF = re.compile(r"/v1/users/([^/?]+)/token")


class Services:
    """The requests of the internal listener."""

    route = TOKEN_ROUTE
    exchange = TOKEN.exchange

    def __init__(self, admission: Admission, at_hand: AtHand) -> None:
        self.write: Callable[[CurrentToken], bytes] = service_token
        self._admission = admission
        self._at_hand = at_hand

    def look(self, request: PlainRequest) -> Visit | None:
        """Look for the user that is asked about."""
        path = _TOKEN_OF.fullmatch(request.raw_path)
        service = None if path is None else self._service(request)
        if path is None or service is None:
            return None
        key = self._admission.user_at(service.client, path[1])
        asking = service.asking.again(service.given_id or new_id())
        return Visit(key, asking, b"", vouch=service.vouch)

    def give(self, visit: Visit, hit: CacheHit, now: datetime) -> CurrentToken | None:
        """Give the user's token."""
        return self._at_hand.for_service(hit, now, vouch=visit.vouch)

    def _service(self, request: PlainRequest) -> _Service | None:
        """Return who asks: the same one as before, while its key and the keys that count are the same."""
        headers, keys = request.headers, self._admission.callers.keys()
        presented = headers.get("authorization")
        service: _Service | None = headers.memo.get("service")
        if service is not None and service.keys is keys and service.presented == presented:
            return service
        asked = cast("web.BaseRequest", request)
        caller = self._admission.callers.by_key(parse_bearer(headers, ""))
        if caller is None:
            return None
        client = self._admission.client_of(caller, TOKEN)
        asking = self._admission.auditing.who(Call(asked), caller.name)
        vouch = "vouch" in caller.scopes
        service = _Service(asking, client, vouch, presented, keys, given_id(headers))
        headers.memo["service"] = service
        return service


def for_browsers(doors: Doors, door: PublicDoor, frame: Frame, at_hand: AtHand) -> Express | None:
    """Return the short way of the public listener; None where the app is asked who is signed in."""
    if door.binds_sessions:
        return None
    return Express(doors, frame, Browsers(door, at_hand), at_hand)


def for_services(doors: Doors, door: InternalDoor, frame: Frame, at_hand: AtHand) -> Express:
    """Return the short way of the internal listener."""
    return Express(doors, frame, Services(door.admission, at_hand), at_hand)
