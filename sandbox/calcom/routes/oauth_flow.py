"""POST /v2/oauth/:clientId/refresh, /authorize and /exchange.

The refresh is a read, then one transaction; what lies between the two is the point `read`.
"""

from __future__ import annotations

from typing import Any

from sandbox.calcom import errors
from sandbox.calcom.auth import authenticate
from sandbox.calcom.call import Answer, Call, success
from sandbox.calcom.inputs import read_string
from sandbox.calcom.records import Client, Pair, Token

SESSION_COOKIE = "next-auth.session-token"


def shown_pair(pair: Pair) -> dict[str, Any]:
    """Return a pair as every route shows it; expiries in epoch milliseconds."""
    return {
        "accessToken": pair.access.secret,
        "accessTokenExpiresAt": pair.access.expires_ms,
        "refreshToken": pair.refresh.secret,
        "refreshTokenExpiresAt": pair.refresh.expires_ms,
    }


async def refresh(call: Call) -> Answer:
    """Exchange a one-time refresh token for a new pair."""
    authenticate(call)
    presented = read_string(call.json(), "refreshToken")
    client = _client_by_credentials(call)
    used = _read_refresh_token(call, client, presented)
    await call.reach("read")
    call.check_writable()
    pair = call.state.rotate(client, used, claimed=call.claimed_owner(used.user_id))
    call.entry.note_token("consumed", presented)
    call.entry.note_pair(pair)
    return success(shown_pair(pair))


def _client_by_credentials(call: Call) -> Client:
    client = call.client_of(call.params["clientId"])
    if client is None or client.secret != call.header("x-cal-secret-key"):
        raise errors.bad_request("Invalid OAuthClient credentials.")
    return client


def _read_refresh_token(call: Call, client: Client, presented: str) -> Token:
    token = call.state.find_refresh(client, presented, call.lag_ms)
    call.entry.known = token is not None
    if token is None:
        raise errors.bad_request("Invalid refresh token")
    return token


async def authorize(call: Call) -> Answer:
    """Redirect a signed-in user back with a code; the session cookie simply holds the user's id."""
    cookie = call.request.cookies.get(SESSION_COOKIE, "")
    user = call.state.users.get(int(cookie)) if cookie.isdecimal() else None
    if user is None:
        raise errors.bare_unauthorized()
    redirect_uri = read_string(call.json(), "redirectUri")
    client = call.client_of(call.params["clientId"])
    if client is None:
        raise errors.bad_request(f"OAuth client with ID '{call.params['clientId']}' not found")
    if redirect_uri not in client.redirect_uris:
        raise errors.bad_request("Invalid 'redirect_uri' value.")
    call.entry.user_id = user.id
    code = call.state.add_code(client, user)
    if code is None:
        message = f"User with id={user.id} has already authorized client with id={client.id}."
        raise errors.bad_request(message)
    call.entry.note_commit()
    return Answer(302, location=f"{redirect_uri}?code={code}")


async def exchange(call: Call) -> Answer:
    """Exchange an authorization code, sent as Bearer, for a pair."""
    secret = read_string(call.json(), "clientSecret")
    code = call.bearer.strip()
    if not code:
        raise errors.bad_request("Missing 'Bearer' Authorization header.")
    client = call.client_of(call.params["clientId"])
    if client is None or client.secret != secret:
        raise errors.bad_request("Invalid OAuth Client.")
    user = call.state.take_code(client, code)
    if user is None:
        raise errors.bad_request("Invalid Authorization Token.")
    call.entry.user_id = user.id
    pair = call.state.issue(client, user)
    call.entry.note_pair(pair)
    return success(shown_pair(pair))
