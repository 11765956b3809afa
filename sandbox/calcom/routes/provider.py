"""GET /v2/provider/:clientId and /v2/provider/:clientId/access-token."""

from __future__ import annotations

from sandbox.calcom import errors
from sandbox.calcom.auth import authenticate
from sandbox.calcom.call import Answer, Call, success


async def provider(call: Call) -> Answer:
    """Return the client's public face; needs no authentication."""
    client = call.client_of(call.params["clientId"])
    if client is None:
        raise errors.bare_unauthorized()
    shown = {"clientId": client.id, "organizationId": client.organization_id, "name": client.name}
    return success(shown)


async def check(call: Call) -> Answer:
    """Say that the credentials are good; whether the token is of the path's client is not looked at."""
    authenticate(call)
    return Answer(200, {"status": "success"})
