"""The listener that browsers reach: a refused access token goes in, one that works comes out.

The path of a good answer is short on purpose; nothing on it parses a body or builds a model.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from importlib import resources

from aiohttp import web

from service.api.answer import OPEN, Answer
from service.api.auditing import Auditing
from service.api.bearer import may_be_token, parse_bearer
from service.api.cors import Origins, preflight, require_fetch
from service.api.doors import Doors
from service.api.errors import BearerMalformed
from service.api.leaks import Leaks
from service.api.limits import AddressFailures, one_caller
from service.api.observe import healthz
from service.api.patience import Patience
from service.api.peers import Address, Peers
from service.api.routes import Call, Handler, Operation, Route
from service.api.session import Sessions
from service.api.views import FreshToken, Health, fresh_token
from service.broker.errors import GrantDead, GrantPaused, TokenUnknown, UserUnknown
from service.broker.model import CurrentToken, UserKey

_UNIDENTIFIED = (TokenUnknown, UserUnknown, GrantDead, GrantPaused)
"""To a browser all of these are one thing, or a stolen token could be told from a made-up one."""

_REFRESH = Operation(
    "Exchange the access token you hold, refused or about to end, for one that works",
    {200: ("A token that works, and when it ends", FreshToken)},
    errors=(
        "bearer_missing", "bearer_malformed", "token_unknown", "origin_refused", "session_mismatch",
        "too_many_requests", "upstream_unavailable", "storage_unavailable", "refresh_in_progress",
        "session_unavailable",
    ),
)  # fmt: skip
_PREFLIGHT = Operation(
    "Ask whether a page's origin may ask (CORS)",
    {204: ("It may", None)},
    errors=("origin_refused",),
    anonymous=True,
)
_SCRIPT = Operation(
    "Fetch a browser helper, an ES module",
    {200: ("The module", None)},
    errors=("origin_refused",),
    media_type="text/javascript",
    anonymous=True,
)
_HEALTH = Operation("Tell that the process lives", {200: ("It lives", Health)}, anonymous=True)


class PublicDoor:
    """The routes of the public listener."""

    def __init__(self, doors: Doors) -> None:
        peers = Peers(doors.trusted_proxies)
        self._answers = doors.answers
        self._patience = Patience(doors.public_answer_timeout_s)
        self.path = doors.public_path
        self._peers = peers
        self.auditing = Auditing(doors.audit, peers)
        self._failures = AddressFailures(doors.address_failures_per_minute)
        self._leaks = Leaks(doors.client_secrets, doors.api_keys, doors.observer)
        self._sessions = Sessions(doors.witnesses, doors.observer)
        self.origins = Origins(doors.allowed_origins, {c.name: c.origins for c in doors.clients}, peers)

    @property
    def binds_sessions(self) -> bool:
        """Whether it takes more than a token to be given one: that somebody says who is signed in."""
        return self._sessions.required

    def routes(self) -> list[Route]:
        """Return the listener's routes."""
        return [
            Route("GET", self.path, self.refresh, _REFRESH),
            Route("OPTIONS", self.path, preflight, _PREFLIGHT),
            Route("GET", "/keep-fresh.js", _script("keep-fresh.js"), _SCRIPT),
            Route("GET", "/use-fresh-token.js", _script("use-fresh-token.js"), _SCRIPT),
            Route("GET", "/healthz", healthz, _HEALTH),
            Route("HEAD", "/healthz", healthz),
        ]

    async def refresh(self, call: Call) -> Answer:
        """Answer a browser that holds a token, and keep what came of it."""
        with self.auditing.exchange(call):
            return await self._refresh(call)

    def caller_of(self, request: web.BaseRequest) -> Hashable:
        """Return where a request comes from, as addresses are counted."""
        return one_caller(self._peers.address_of(request))

    async def _refresh(self, call: Call) -> Answer:
        require_fetch(call)
        if call.request.body_exists:
            raise BearerMalformed(
                "A refresh has no body: the token is presented in the Authorization header."
            )
        token = parse_bearer(call.request.headers, call.query)
        address = self._peers.address_of(call.request)
        try:
            current = await self._current(token, call, address)
        except _UNIDENTIFIED as error:
            self._leaks.look_at(token)
            raise self._failures.refusal(address) from error
        call.key = current.key
        self.origins.admit_to(current.key.client, call)
        return Answer(200, fresh_token(current))

    async def _current(self, token: str, call: Call, address: Address | None) -> CurrentToken:
        """Ask the broker; a caller whose patience ends leaves, the refresh goes on."""
        if not may_be_token(token):
            raise TokenUnknown
        admit = partial(self._admit, call) if self._sessions.required else None
        asked = self._answers.for_browser(token, admit, address=one_caller(address))
        return await self._patience.wait(asked)

    async def _admit(self, call: Call, key: UserKey) -> None:
        """Have the app say whether it is this user who asks, from a page that may ask for this client."""
        call.key = key
        self.origins.admit_to(key.client, call)
        await self._sessions.require(call.request, key)


def _script(name: str) -> Handler:
    """Return a handler that answers with a file of this package, read once."""
    text = (resources.files("service.api") / "static" / name).read_bytes()

    async def answer(_: Call) -> Answer:
        return Answer(200, text, content_type="text/javascript; charset=utf-8", sharing=OPEN)

    return answer
