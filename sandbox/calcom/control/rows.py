"""Doors to the rows: OAuth clients, users and tokens; shows identifiers, never a token or a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from sandbox.calcom.control.wire import Wrong, answer, door, number, read
from sandbox.calcom.jwt import identifier
from sandbox.calcom.routes.oauth_flow import shown_pair
from sandbox.calcom.state import UniqueViolation
from sandbox.calcom.users import managed_user

if TYPE_CHECKING:
    from sandbox.calcom.records import Client, User
    from sandbox.calcom.sandbox import Sandbox


@with_config(ConfigDict(extra="forbid", strict=True))
class _NewUser(TypedDict, total=False):
    email: str
    name: str


class _TokenBody(TypedDict):
    token: str


@with_config(ConfigDict(extra="forbid", strict=True))
class _ClientChanges(TypedDict, total=False):
    secret: str
    name: str
    redirect_uris: list[str]
    permissions: int
    default_event_types: bool
    platform: bool
    organization_id: int | None
    owner_id: int | None


_NEW_USER = TypeAdapter(_NewUser)
_TOKEN = TypeAdapter(_TokenBody)
_CLIENT_CHANGES = TypeAdapter(_ClientChanges)


class RowDoors:
    """What a separate process may look up and change."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        """Return the doors."""
        return [
            web.patch("/_sandbox/clients/{client}", door(self._change_client)),
            web.post("/_sandbox/clients/{client}/purge", door(self._purge)),
            web.get("/_sandbox/clients/{client}/users", door(self._list_users)),
            web.post("/_sandbox/clients/{client}/users", door(self._seed_user)),
            web.get("/_sandbox/users/{user}", door(self._show_user)),
            web.delete("/_sandbox/users/{user}", door(self._delete_user)),
            web.post("/_sandbox/users/{user}/expire", door(self._expire)),
            web.post("/_sandbox/tokens/state", door(self._token_state)),
            web.post("/_sandbox/tokens/kill", door(self._kill)),
        ]

    def _client(self, request: web.Request) -> Client:
        client = self._sandbox.state.clients.get(request.match_info["client"])
        if client is None:
            raise Wrong(f"there is no OAuth client {request.match_info['client']!r}", 404)
        return client

    def _user(self, request: web.Request) -> User:
        user = self._sandbox.user(number(request, "user", 0))
        if user is None:
            raise Wrong(f"there is no user {request.match_info['user']}", 404)
        return user

    def _shown(self, user: User) -> dict[str, Any]:
        """Return the user with the state of its tokens by identifier."""
        state = self._sandbox.state
        access = [state.access[secret] for secret in user.access_tokens]
        return {
            **managed_user(user),
            "client": user.client_id,
            "access": {
                identifier(token.secret): {"expires_ms": token.expires_ms, "live": state.is_live(token)}
                for token in access
            },
            "refresh": sorted(identifier(secret) for secret in user.refresh_tokens),
        }

    async def _change_client(self, request: web.Request) -> web.StreamResponse:
        client = self._client(request)
        changes = await read(request, _CLIENT_CHANGES)
        self._sandbox.change_client(client.id, **changes)
        return answer({"client": client.id, "changed": sorted(changes)})

    async def _purge(self, request: web.Request) -> web.StreamResponse:
        return answer({"purged": self._sandbox.purge(self._client(request).id)})

    async def _list_users(self, request: web.Request) -> web.StreamResponse:
        return answer(
            {"users": [self._shown(user) for user in self._sandbox.users(self._client(request).id)]}
        )

    async def _seed_user(self, request: web.Request) -> web.StreamResponse:
        client, wanted = self._client(request), await read(request, _NEW_USER)
        if "email" not in wanted:
            raise Wrong("email: name the user's e-mail address")
        try:
            user, pair = self._sandbox.create_user(client.id, **wanted)
        except UniqueViolation as error:
            raise Wrong("the client has a user of this e-mail address already", 409) from error
        return answer({"user": managed_user(user), **shown_pair(pair)}, 201)

    async def _show_user(self, request: web.Request) -> web.StreamResponse:
        return answer(self._shown(self._user(request)))

    async def _delete_user(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        self._sandbox.delete_user(user.id)
        return answer({"deleted": user.id})

    async def _expire(self, request: web.Request) -> web.StreamResponse:
        return answer({"expired": self._sandbox.expire(self._user(request).id)})

    async def _token_state(self, request: web.Request) -> web.StreamResponse:
        secret = (await read(request, _TOKEN))["token"]
        token = self._sandbox.state.trace(secret)
        return answer(
            {
                "identifier": identifier(secret),
                "known": token is not None,
                "live": self._sandbox.is_live(secret),
                "usable": self._sandbox.is_usable(secret),
                "user_id": token.user_id if token is not None else None,
                "client": token.client_id if token is not None else None,
                "expires_ms": token.expires_ms if token is not None else None,
            }
        )

    async def _kill(self, request: web.Request) -> web.StreamResponse:
        secret = (await read(request, _TOKEN))["token"]
        return answer({"killed": self._sandbox.kill(secret) or self._sandbox.kill_refresh(secret)})
