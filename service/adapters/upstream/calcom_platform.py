"""Cal.com Platform API v2 as a Provider: which request each call is, and how its answer is read.

Decides nothing about grants. Client credentials and access tokens never travel together: upstream
counts a call against the first of them it sees, and a check belongs to the token's own count.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import aiohttp

from service.adapters.upstream import decode
from service.adapters.upstream.classify import Call, Refusal, judge, refuses_secret
from service.adapters.upstream.client_secret import ClientSecret
from service.adapters.upstream.exchange import Exchange, Request
from service.adapters.upstream.wire import Wire
from service.broker.model import (
    ChangeOutcome,
    CheckOutcome,
    Confirmed,
    Created,
    CreateOutcome,
    Denial,
    Denied,
    Done,
    Found,
    LookupOutcome,
    Profile,
    ProfileChange,
    Rotated,
    RotationOutcome,
    Stated,
)
from service.broker.ports import MaySend, Observer

T = TypeVar("T")
Body = Mapping[str, object]

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET = re.compile(r"[\x21-\x7e]{1,4096}")

_NO_SECRET = Denied(Denial.CLIENT_FAULT, "the client secret is empty or cannot be sent in a header")

PROFILE_NAMES: Mapping[str, str] = {
    "email": "email",
    "name": "name",
    "time_zone": "timeZone",
    "time_format": "timeFormat",
    "week_start": "weekStart",
    "locale": "locale",
    "avatar_url": "avatarUrl",
    "bio": "bio",
    "metadata": "metadata",
}
"""What Cal.com calls the fields of our Profile."""


class CalcomPlatform:
    """One Cal.com Platform client. The session comes from `wire.open_session`."""

    recovers = True

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        client_id: str,
        secrets: Callable[[], Sequence[str]],
        timeout_s: float,
        observer: Observer,
        client_name: str,
    ) -> None:
        """Keep where and who; ValueError when the URL or the client id cannot be used in a request."""
        if not _CLIENT_ID.fullmatch(client_id):
            raise ValueError("a client id has 1 to 64 of the characters A-Z, a-z, 0-9, _ and -")
        self._wire = Wire(session, base_url, timeout_s)
        self._client_id = client_id
        self._secret = ClientSecret(secrets, observer, client_name)
        self._observer = observer
        self._client_name = client_name
        self._users = f"/oauth-clients/{client_id}/users"
        self._check = f"/provider/{client_id}/access-token"

    async def refresh(self, refresh_token: str, *, may_send: MaySend | None = None) -> RotationOutcome:
        """Present the one-time refresh token."""
        body, path = {"refreshToken": refresh_token}, f"/oauth/{self._client_id}/refresh"
        return await self._as_client(Call.REFRESH, "POST", path, _rotated, body=body, may_send=may_send)

    async def recover(self, upstream_id: str, *, may_send: MaySend | None = None) -> RotationOutcome:
        """Force-refresh: upstream deletes every token of the user and issues a new pair."""
        tail = "/force-refresh"
        return await self._of_user(Call.RECOVER, "POST", upstream_id, _rotated, tail=tail, may_send=may_send)

    async def check(self, access_token: str) -> CheckOutcome:
        """Ask whether upstream accepts this very access token."""
        if not decode.USABLE_TOKEN.fullmatch(access_token):
            return Denied(Denial.TOKEN_REFUSED, "this cannot be an access token")
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self._call(Call.CHECK, Request("GET", self._check, headers), _confirmed)

    async def probe(self) -> CheckOutcome:
        """Ask whether upstream accepts the client's credentials."""
        return await self._as_client(Call.PROBE, "GET", self._check, _confirmed)

    def describe(self, access_token: str) -> Stated:
        """Read what an access token says of itself; nothing of it is verified."""
        return decode.describe(access_token, self._client_id)

    async def create_user(self, profile: Profile) -> CreateOutcome:
        """Create a managed user; its first pair comes with the answer."""
        values = {name: getattr(profile, name) for name in PROFILE_NAMES}
        body = _named({name: value for name, value in values.items() if value is not None})
        return await self._as_client(Call.CREATE, "POST", self._users, self._created, body=body)

    async def find_users(self, email: str) -> LookupOutcome:
        """Find the client's users who have exactly this address, in the app's form."""
        wanted = email.lower()

        def matching(body: Body) -> Found | None:
            found = self._listed(body)
            return found and Found(tuple(user for user in found.users if user.email.lower() == wanted))

        query = f"emails={quote(wanted, safe='')}"
        return await self._as_client(Call.FIND, "GET", self._users, matching, query=query)

    async def read_user(self, upstream_id: str) -> LookupOutcome:
        """Look one user up; Denied(USER_GONE) when it is not one of this client."""

        def the_one(body: Body) -> Found | None:
            user = decode.user(body.get("data"), self._client_id)
            return Found((user,)) if user and user.upstream_id == upstream_id else None

        return await self._of_user(Call.READ, "GET", upstream_id, the_one)

    async def change_user(self, upstream_id: str, change: ProfileChange) -> ChangeOutcome:
        """Change fields of the user's profile, by the names they have in Profile."""
        unknown = change.fields.keys() - PROFILE_NAMES.keys()
        if unknown:
            return Denied(Denial.INVALID, ",".join(sorted(unknown)))
        return await self._of_user(Call.CHANGE, "PATCH", upstream_id, _done, body=_named(change.fields))

    async def delete_user(self, upstream_id: str) -> ChangeOutcome:
        """Delete the user and every token of it; Denied(USER_GONE) when there is none."""
        return await self._of_user(Call.DELETE, "DELETE", upstream_id, _done)

    def _created(self, body: Body) -> Created | None:
        data = decode.fields(body.get("data"))
        user, minted = decode.user(data.get("user"), self._client_id), decode.pair(data)
        return Created(user, minted) if user and minted else None

    def _listed(self, body: Body) -> Found | None:
        """Return the listed users; None when one cannot be read: a hidden user would be created anew."""
        data = body.get("data")
        if not isinstance(data, list):
            return None
        users = [decode.user(entry, self._client_id) for entry in data]
        readable = tuple(user for user in users if user is not None)
        return Found(readable) if len(readable) == len(users) else None

    async def _of_user(
        self,
        call: Call,
        method: str,
        upstream_id: str,
        read: Callable[[Body], T | None],
        *,
        tail: str = "",
        body: Body | None = None,
        may_send: MaySend | None = None,
    ) -> T | Refusal:
        if not decode.USABLE_ID.fullmatch(upstream_id):
            return Denied(Denial.INVALID, "calUserId")
        path = f"{self._users}/{upstream_id}{tail}"
        return await self._as_client(call, method, path, read, body=body, may_send=may_send)

    async def _as_client(
        self,
        call: Call,
        method: str,
        path: str,
        read: Callable[[Body], T | None],
        *,
        query: str = "",
        body: Body | None = None,
        may_send: MaySend | None = None,
    ) -> T | Refusal:
        outcome: T | Refusal = _NO_SECRET
        for secret in self._secret.to_try():
            if not _SECRET.fullmatch(secret):
                return _NO_SECRET
            # The id decides whose count the call is against; the id in the path does not.
            headers = {"x-cal-secret-key": secret, "x-cal-client-id": self._client_id}
            outcome = await self._call(call, Request(method, path, headers, query, body, may_send), read)
            if not refuses_secret(outcome):
                return outcome
            self._secret.refused(secret)
        return outcome

    async def _call(self, call: Call, request: Request, read: Callable[[Body], T | None]) -> T | Refusal:
        began_s = time.monotonic()
        exchange = await self._wire.send(request)
        outcome = judge(call, exchange, read)
        with contextlib.suppress(Exception):  # a log line that cannot be written must not cost a pair
            self._note(call, exchange, outcome, time.monotonic() - began_s)
        return outcome

    def _note(self, call: Call, exchange: Exchange, outcome: object, seconds: float) -> None:
        self._observer.note(
            "upstream.call",
            client=self._client_name,
            call=call.value,
            outcome=type(outcome).__name__.lower(),
            seconds=seconds,
            status=getattr(exchange, "status", None),
            reason=outcome.code.value if isinstance(outcome, Denied) else getattr(outcome, "reason", None),
            detail=getattr(outcome, "detail", None),
        )


def _named(values: Mapping[str, object]) -> dict[str, object]:
    """Return profile values under Cal.com's names; older servers do not lower-case an address."""
    named = {PROFILE_NAMES[name]: value for name, value in values.items()}
    if isinstance(email := named.get("email"), str):
        named["email"] = email.lower()
    return named


def _rotated(body: Body) -> Rotated | None:
    minted = decode.pair(body.get("data"))
    return Rotated(minted) if minted else None


def _confirmed(body: Body) -> Confirmed | None:
    return Confirmed() if body.get("status") == "success" else None


def _done(body: Body) -> Done | None:
    return Done() if body.get("status") == "success" else None
