"""What the operator page asks for: figures, lists, and orders that are answered without a token."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from service.api import operations as described
from service.api.admission import Admission, Ask, Served
from service.api.answer import Answer
from service.api.doors import Doors
from service.api.overview_views import CallerView, attention_view, history_view, overview_view
from service.api.routes import ID, Call, Operation, Route
from service.api.schemas import RotationAsked
from service.api.usecases import Overviews
from service.api.views import user_view
from service.api.waits import Waits
from service.broker.model import User, UserKey
from service.broker.ports.overview import Concern, TroubleQuery

STEPS_OF = {
    "hour": (timedelta(hours=1), timedelta(minutes=1)),
    "day": (timedelta(days=1), timedelta(minutes=20)),
    "week": (timedelta(days=7), timedelta(hours=2)),
}
"""How far back each span reaches, and in which steps."""


class OverviewDoor:
    """The routes behind the operator page."""

    def __init__(self, doors: Doors, overview: Overviews, waits: Waits, admission: Admission) -> None:
        self._overview = overview
        self._answers = doors.answers
        self._users = doors.users
        self._readiness = doors.readiness
        self._clients = [client.name for client in doors.clients]
        self._timeout_s = doors.answer_timeout_s
        self._waits = waits
        self._admission = admission

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/v1/caller", self.caller, described.CALLER),
            self._route("GET", "/v1/overview", self.look, described.OVERVIEW),
            self._route("GET", "/v1/history", self.history, described.HISTORY),
            self._route("GET", "/v1/attention", self.attention, described.ATTENTION),
            self._route("POST", f"/v1/users/{ID}/rotate", self.rotate, described.ROTATE),
        ]

    def _route(self, method: str, path: str, served: Served, operation: Operation) -> Route:
        return Route(method, path, self._admission.guard(operation, served), operation)

    async def caller(self, call: Call) -> Answer:
        """Say who calls, whatever it may do."""
        caller = await self._admission.callers.who(call.request, call.query)
        clients = [name for name in self._clients if caller.clients is None or name in caller.clients]
        return _json(CallerView(name=caller.name, scopes=sorted(caller.scopes), clients=clients))

    async def look(self, ask: Ask) -> Answer:
        """Show how a client stands."""
        client = ask.client.name
        sight = await self._waits.at_most(self._timeout_s, self._overview.look(client))
        return _json(overview_view(client, sight, await self._readiness.dependencies()))

    async def history(self, ask: Ask) -> Answer:
        """Show what happened over time."""
        span, step = STEPS_OF[ask.query.span]
        work = self._overview.history(ask.client.name, span, step)
        happened = await self._waits.at_most(self._timeout_s, work)
        return _json(history_view(happened, int(step.total_seconds())))

    async def attention(self, ask: Ask) -> Answer:
        """List who needs attention."""
        asked = ask.query
        concern = None if asked.reason is None else Concern[asked.reason.upper()]
        query = TroubleQuery(ask.client.name, asked.limit + 1, concern, asked.cursor)
        users = await self._waits.at_most(self._timeout_s, self._overview.troubled(query))
        return _json(attention_view(users, asked.limit, concern))

    async def rotate(self, ask: Ask) -> Answer:
        """Replace a pair for an operator, who is shown the user and no token."""
        body = await ask.body(RotationAsked)
        work = self._rotated(ask.user, body.force, ask.actor)
        return _json(user_view(await self._waits.at_most(self._timeout_s, work)))

    async def _rotated(self, key: UserKey, force: bool, actor: str) -> User:
        await self._answers.rotate(key, force=force, actor=actor)
        return await self._users.read(key)


def _json(view: BaseModel) -> Answer:
    return Answer(200, view.model_dump_json().encode())
