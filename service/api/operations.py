"""Every call of the internal listener as it is described, and what admits a caller to it.

Data only: the handlers stand in `internal`, the description is made in `openapi`.
"""

from __future__ import annotations

from service.api.overview_views import AttentionView, CallerView, HistoryView, OverviewView
from service.api.queries import AttentionQuery, EnrolQuery, EventsQuery, HistoryQuery, PageQuery, TokenQuery
from service.api.routes import Operation
from service.api.schemas import (
    NewUser,
    Nothing,
    PairToEnrol,
    ProfileToChange,
    RefreshAsked,
    RotationAsked,
    UserToRecover,
)
from service.api.views import EventsView, ServiceToken, UsersPage, UserView

READS, WRITES, TOKENS = ("users:read",), ("users:write",), ("tokens:read",)

UNAVAILABLE = ("upstream_unavailable", "storage_unavailable", "refresh_in_progress")
MISSING = ("user_unknown",)
UNUSABLE = ("user_unknown", "grant_dead", "grant_paused")

_USER = ("The user and the state of its pair", UserView)
_TOKEN = ("A token that works", ServiceToken)

CREATE = Operation(
    "Create a managed user upstream and keep its pair; the same call again finds the same user",
    {201: ("The user was created", UserView), 200: ("The user was already created by this call", UserView)},
    WRITES,
    body=(NewUser,),
    errors=("conflict", "exists_upstream", "grant_paused", "too_many_requests", *UNAVAILABLE),
    act="create",
)
PAGE = Operation(
    "List users with the state of their pairs",
    {200: ("A page of users", UsersPage)},
    READS,
    query=PageQuery,
    errors=UNAVAILABLE,
)
READ = Operation(
    "Show one user and the state of its pair", {200: _USER}, READS, errors=(*MISSING, *UNAVAILABLE)
)
CHANGE = Operation(
    "Change a user's profile, upstream and here",
    {200: _USER},
    WRITES,
    body=(ProfileToChange,),
    errors=(*UNUSABLE, "conflict", *UNAVAILABLE),
    act="change",
)
DELETE = Operation(
    "Delete a user upstream and here, with every token and fingerprint",
    {204: ("The user is gone", None)},
    WRITES,
    errors=(*MISSING, *UNAVAILABLE),
    act="delete",
)
ENROL = Operation(
    "Enrol a pair that the app holds, or recover a user whose tokens were lost (scope admin)",
    {200: _USER},
    ("users:write", "admin"),
    query=EnrolQuery,
    body=(PairToEnrol, UserToRecover),
    errors=(*UNUSABLE, "grant_live", "conflict", *UNAVAILABLE),
    act="enrol",
)
TOKEN = Operation(
    "Hand out a user's access token",
    {200: _TOKEN},
    TOKENS,
    query=TokenQuery,
    errors=(*UNUSABLE, "min_ttl_too_long", "too_many_requests", *UNAVAILABLE),
    exchange="token.read",
)
REFRESH = Operation(
    "Replace a token that upstream refused, or the pair as it is (force: scope users:write)",
    {200: _TOKEN},
    TOKENS,
    body=(RefreshAsked,),
    body_optional=True,
    errors=(*UNUSABLE, "too_many_requests", *UNAVAILABLE),
    exchange="token.refreshed",
)
REVOKE = Operation(
    "Make every token handed out so far stop counting here, and have upstream kill it",
    {200: _USER},
    WRITES,
    body=(Nothing,),
    body_optional=True,
    errors=(*UNUSABLE, *UNAVAILABLE),
    act="revoke",
)
PAUSE = Operation(
    "Stop all work on a user",
    {200: _USER},
    WRITES,
    body=(Nothing,),
    body_optional=True,
    errors=(*UNUSABLE, *UNAVAILABLE),
    act="pause",
)
RESUME = Operation(
    "Take work on a user up again",
    {200: _USER},
    WRITES,
    body=(Nothing,),
    body_optional=True,
    errors=(*UNUSABLE, *UNAVAILABLE),
    act="resume",
)
ROTATE = Operation(
    "Replace a user's pair now, for an operator: answers with the user, never with a token",
    {200: _USER},
    WRITES,
    body=(RotationAsked,),
    body_optional=True,
    errors=(*UNUSABLE, "too_many_requests", *UNAVAILABLE),
    exchange="token.replaced",
)
CALLER = Operation(
    "Say who calls: its name, what it may do, and for which OAuth clients",
    {200: ("The caller", CallerView)},
    errors=("key_unknown", "keys_unavailable"),
)
OVERVIEW = Operation(
    "Show how a client's users stand, its budget and circuit, the worker, and what all depend on",
    {200: ("The overview", OverviewView)},
    READS,
    errors=UNAVAILABLE,
)
HISTORY = Operation(
    "Show refreshes, failures and recoveries over time",
    {200: ("What happened, the earliest first", HistoryView)},
    READS,
    query=HistoryQuery,
    errors=UNAVAILABLE,
)
ATTENTION = Operation(
    "List the users that need attention, the worst first, each with its reason and what helps",
    {200: ("A page of users", AttentionView)},
    READS,
    query=AttentionQuery,
    errors=UNAVAILABLE,
)
EVENTS = Operation(
    "Show what happened to a user's grant and who asked for its tokens, newest first",
    {200: ("The events", EventsView)},
    READS,
    query=EventsQuery,
    errors=(*MISSING, *UNAVAILABLE),
)
