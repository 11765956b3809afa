"""Who a call acts for: upstream's order of authentication, its origin check and its guards.

Raises refusals in upstream's words; never imports the doors.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from sandbox.calcom import errors
from sandbox.calcom.call import Call
from sandbox.calcom.config import Permission
from sandbox.calcom.records import Client, Token, User

_PREFIX = "ApiAuthStrategy - "
_CLIENT = _PREFIX + "oAuth client - "
_TOKEN = _PREFIX + "access token - "
NO_METHOD = (
    _PREFIX + "No authentication method provided. Either pass an API key as 'Bearer' header or OAuth client "
    "credentials as 'x-cal-secret-key' and 'x-cal-client-id' headers"
)
ONLY_ID = (
    _PREFIX + "Only 'x-cal-client-id' header provided. Please also provide 'x-cal-secret-key' header or Auth "
    "bearer token as 'Authentication' header"
)


@dataclass(frozen=True, slots=True)
class Principal:
    """The client and the user a call acts for; `by_secret` when client credentials were presented."""

    client: Client
    user: User
    by_secret: bool


def authenticate(call: Call) -> Principal:
    """Return whom the call acts for, by secret first, then by bearer token."""
    client_id = call.params.get("clientId") or call.header("x-cal-client-id")
    secret = call.header("x-cal-secret-key")
    if client_id and secret:
        return _by_secret(call, client_id, secret)
    token = call.bearer
    if token:
        return _by_token(call, token)
    raise errors.unauthorized(ONLY_ID if client_id else NO_METHOD)


def _by_secret(call: Call, client_id: str, secret: str) -> Principal:
    client = call.client_of(client_id)
    if client is None:
        raise errors.unauthorized(f"{_CLIENT}Client with ID {client_id} not found")
    if client.secret != secret:
        raise errors.unauthorized(f"{_CLIENT}Invalid client secret")
    if client.owner_id is None:
        raise errors.unauthorized(f"{_CLIENT}No owner ID found for this OAuth client")
    return Principal(client, call.state.users[client.owner_id], by_secret=True)


def _by_token(call: Call, secret: str) -> Principal:
    if secret.startswith("cal_"):
        raise errors.unauthorized(f"{_PREFIX}api key - Your api key is not valid")
    token = _valid_token(call, secret)
    client = call.state.clients[token.client_id]
    _check_origin(client, call.header("Origin"))
    user = call.state.users.get(token.user_id)
    if user is None:
        raise errors.unauthorized(errors.INVALID_ACCESS_TOKEN)
    return Principal(client, user, by_secret=False)


def _valid_token(call: Call, secret: str) -> Token:
    token, now = call.state.find_access(secret, call.lag_ms), call.state.now_ms()
    if token is None:
        raise errors.unauthorized(_gone_message(call, secret))
    if now > token.expires_ms:
        raise errors.token_expired()
    token.cached = True
    return token


def _gone_message(call: Call, secret: str) -> str:
    """Redis still says valid, but the row and with it the client is gone: upstream's other message."""
    buried = call.state.deleted.get(secret)
    warm = call.state.redis_warm and buried is not None and buried.cached
    if warm and buried is not None and call.state.now_ms() < buried.expires_ms:
        return f"{_TOKEN}OAuth client not found given the access token"
    return errors.INVALID_ACCESS_TOKEN


def _check_origin(client: Client, origin: str | None) -> None:
    if origin and not any(_origin_matches(allowed, origin) for allowed in client.redirect_uris):
        raise errors.unauthorized(
            f"{_TOKEN}Invalid request origin - please open https://app.cal.com/settings/platform and add the "
            f"origin '{origin}' to the 'Redirect uris' of your OAuth client with ID '{client.id}'"
        )


def _origin_matches(allowed: str, origin: str) -> bool:
    return _wildcard(allowed).fullmatch(origin) is not None if "*" in allowed else allowed == origin


@functools.lru_cache(maxsize=256)
def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def require_client_admin(call: Call) -> Client:
    """Return the path's client for who may manage its users: OAuthClientGuard, OrganizationRolesGuard."""
    principal = authenticate(call)
    organization_id = principal.user.organization_id
    client = call.client_of(call.params["clientId"])
    if principal.by_secret and client is not None and client.organization_id is None:
        return client
    if organization_id is None:
        raise errors.forbidden("OAuthClientGuard - No organization associated with the user.")
    if client is None:
        raise errors.not_found("OAuthClientGuard - OAuth client not found.")
    if client.organization_id != organization_id:
        raise errors.forbidden(
            f"OAuthClientGuard - forbidden. oAuth client with id={client.id} does not belong to the "
            f"organization with id={organization_id}."
        )
    _check_organization(client, principal)
    return client


def _check_organization(client: Client, principal: Principal) -> None:
    if not client.platform:
        raise errors.forbidden("OrganizationRolesGuard - Organization is not a platform (SHP).")
    if principal.user.managed:
        raise errors.forbidden("OrganizationRolesGuard - User must have one of the roles: ADMIN, OWNER.")


def require_permission(principal: Principal, permission: Permission) -> None:
    """Refuse unless the client holds the permission."""
    if not principal.client.permissions & permission:
        raise errors.forbidden(
            f"PermissionsGuard - oAuth client with id={principal.client.id} does not have the required "
            f"permissions={permission.name}. Go to platform dashboard settings and add the required "
            "permissions to the oAuth client."
        )
