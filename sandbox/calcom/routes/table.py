"""Which path and method leads to which endpoint, and under which route name it is journaled."""

from __future__ import annotations

from aiohttp import web

from sandbox.calcom import errors
from sandbox.calcom.call import Answer, Call
from sandbox.calcom.executor import Endpoint
from sandbox.calcom.pipeline import Pipeline
from sandbox.calcom.routes import managed_users, me, oauth_flow, provider

_USERS = "/v2/oauth-clients/{clientId}/users"
_FLOW = "/v2/oauth/{clientId}"
_PROVIDER = "/v2/provider/{clientId}"

TABLE: tuple[tuple[str, str, str, Endpoint], ...] = (
    ("create", "POST", _USERS, managed_users.create),
    ("list", "GET", _USERS, managed_users.list_users),
    ("read", "GET", _USERS + "/{userId}", managed_users.read),
    ("change", "PATCH", _USERS + "/{userId}", managed_users.change),
    ("delete", "DELETE", _USERS + "/{userId}", managed_users.delete),
    ("force", "POST", _USERS + "/{userId}/force-refresh", managed_users.force_refresh),
    ("refresh", "POST", _FLOW + "/refresh", oauth_flow.refresh),
    ("authorize", "POST", _FLOW + "/authorize", oauth_flow.authorize),
    ("exchange", "POST", _FLOW + "/exchange", oauth_flow.exchange),
    ("provider", "GET", _PROVIDER, provider.provider),
    ("check", "GET", _PROVIDER + "/access-token", provider.check),
    ("me", "GET", "/v2/me", me.me),
    ("change_me", "PATCH", "/v2/me", me.change_me),
)
ROUTES = (*(name for name, *_ in TABLE), "unknown")


async def _unknown(call: Call) -> Answer:
    raise errors.no_route(call.request.method, call.request.path_qs)


def add_routes(app: web.Application, pipeline: Pipeline) -> None:
    """Add every endpoint, the preflight, and Nest's 404 for whatever else is asked."""
    app.router.add_route("OPTIONS", "/{path:.*}", pipeline.preflight)
    for name, method, path, endpoint in TABLE:
        app.router.add_route(method, path, pipeline.serve(name, endpoint))
    app.router.add_route("*", "/{path:.*}", pipeline.serve("unknown", _unknown))
