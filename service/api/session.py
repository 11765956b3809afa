"""Binds a token to the app's session: only who is signed in at the app gets that user's token.

What is asked of whom, and what the answers give away, is said at `Sessions`. Must import neither what
asks the app nor what verifies statements: both are witnesses here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from service.api.errors import SessionMismatch
from service.broker.errors import TokenUnknown
from service.broker.flights import Flights, join
from service.broker.model import Nobody, UserKey, Witnessed
from service.broker.ports import Observer, Witness

ASSERTION_HEADER = "X-Broker-Assertion"
LONGEST_COOKIES = 16_384

# Raw bytes that are no UTF-8 arrive as lone surrogates, which no encoder takes.
_SENDABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who can say who is signed in; without any, holding the token is all that is asked for."""

    cookies: Witness | None = None
    statements: Witness | None = None


NO_WITNESSES = Witnesses()


class Sessions:
    """Asks the witnesses about a request whose token counts.

    Only about such: strangers cannot have the app asked, and an unknown token goes the same way, with the
    same work, as one that is too old or revoked. With a token that counts, nobody signed in is answered as
    an unknown token is (401), and counts as one for the limits: what to do is the same, sign in, and a tab
    that outlived its session is no alarm. Another user is one: 403, an event, a metric. Who holds a token
    that counts can find that out, by signing in as another; that a token once counted shows nowhere.

    With both ways configured either suffices, but a statement that is presented decides alone: a cookie
    mends no bad one. Nothing is remembered; requests that carry the same cookies share a running question.
    """

    def __init__(self, witnesses: Witnesses, observer: Observer) -> None:
        self._cookies, self._statements = witnesses.cookies, witnesses.statements
        self._observer = observer
        self._asking: Flights[Witnessed] = Flights()
        self.required = self._cookies is not None or self._statements is not None

    async def require(self, request: web.BaseRequest, key: UserKey) -> None:
        """Pass when this user is signed in; TokenUnknown, SessionMismatch or SessionUnavailable otherwise."""
        who = await self._who(request)
        if isinstance(who, Nobody):
            self._observer.note("session.refused", key, reason=who.reason)
            raise TokenUnknown
        if who.user_id != key.user_id or who.client not in (None, key.client):
            self._observer.note("token.reuse", key, kind="session_mismatch", signed_in=who.user_id)
            raise SessionMismatch

    async def _who(self, request: web.BaseRequest) -> Witnessed:
        statements = request.headers.getall(ASSERTION_HEADER, ())
        if self._statements is not None and statements:
            if len(statements) > 1:
                return Nobody("assertion_repeated")
            return await self._statements.ask(statements[0])
        if self._cookies is None:
            return Nobody("assertion_missing")
        return await self._ask_app(self._cookies, "; ".join(request.headers.getall("Cookie", ())))

    async def _ask_app(self, witness: Witness, cookies: str) -> Witnessed:
        if not cookies:
            return Nobody("no_cookie")
        if len(cookies) > LONGEST_COOKIES or not _SENDABLE.fullmatch(cookies):
            return Nobody("cookie_malformed")
        asking, _ = self._asking.start(cookies, partial(_ask, witness, cookies))
        return await join(asking)


async def _ask(witness: Witness, proof: str) -> Witnessed:
    return await witness.ask(proof)
