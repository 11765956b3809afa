"""The listener for the app's own services: every call on users and their tokens, each a few lines.

A call waits so long; what it began goes on and is waited for at shutdown.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from service.api import operations as described
from service.api.admission import Admission, Ask, Served
from service.api.answer import Answer
from service.api.doors import Doors
from service.api.routes import ID, Operation, Route
from service.api.schemas import NewUser, Nothing, PairToEnrol, ProfileToChange, RefreshAsked, UserToRecover
from service.api.views import events_view, service_token, user_view, users_page
from service.api.waits import Waits
from service.broker.model import EventKind, EventQuery, GrantState, User
from service.broker.ports import UserQuery

T = TypeVar("T")

USERS = "/v1/users"
USER = f"{USERS}/{ID}"
TOKEN_ROUTE = f"{USER}/token"


class InternalDoor:
    """The routes of the internal listener that act on users."""

    def __init__(self, doors: Doors, waits: Waits) -> None:
        self._answers = doors.answers
        self._users = doors.users
        self._timeout_s = doors.answer_timeout_s
        self._waits = waits
        self.admission = Admission(doors)

    def routes(self) -> list[Route]:
        """Return the listener's routes that act on users."""
        return [
            self._route("POST", USERS, self.create, described.CREATE),
            self._route("GET", USERS, self.page, described.PAGE),
            self._route("GET", USER, self.read, described.READ),
            self._route("PATCH", USER, self.change, described.CHANGE),
            self._route("DELETE", USER, self.delete, described.DELETE),
            self._route("PUT", f"{USER}/tokens", self.enrol, described.ENROL),
            self._route("GET", TOKEN_ROUTE, self.token, described.TOKEN),
            self._route("POST", f"{USER}/refresh", self.refresh, described.REFRESH),
            self._route("POST", f"{USER}/revoke", self.revoke, described.REVOKE),
            self._route("POST", f"{USER}/pause", self.pause, described.PAUSE),
            self._route("POST", f"{USER}/resume", self.resume, described.RESUME),
            self._route("GET", f"{USER}/events", self.events, described.EVENTS),
        ]

    async def knows(self, request: web.BaseRequest) -> bool:
        """Whether the request is one of a known caller; what it may do is asked later."""
        return await self.admission.callers.known(request)

    def _route(self, method: str, path: str, served: Served, operation: Operation) -> Route:
        return Route(method, path, self.admission.guard(operation, served), operation)

    async def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._waits.at_most(self._timeout_s, work)

    async def create(self, ask: Ask) -> Answer:
        """Create a managed user, or find the one this call created before."""
        body = await ask.body(NewUser)
        key = ask.about(body.id)
        work = self._users.create(key, body.profile(), vouch=_vouches(ask), actor=ask.actor)
        user, created = await self._wait(work)
        return _json(user_view(user), status=201 if created else 200)

    async def enrol(self, ask: Ask) -> Answer:
        """Keep a pair that the app holds, or recover a user whose pair was lost."""
        raw = await ask.raw_body()
        if raw.get("recover") is True:
            return await self._recover(ask, raw)
        ask.require("users:write")
        enrolment = ask.as_model(raw, PairToEnrol).enrolment()
        work = self._users.enrol(
            ask.user,
            enrolment,
            replace=ask.query.replace,
            vouch=_vouches(ask),
            actor=ask.actor,
        )
        return await self._user(work)

    async def _recover(self, ask: Ask, raw: dict[str, Any]) -> Answer:
        ask.require("admin")
        body = ask.as_model(raw, UserToRecover)
        upstream_id = str(body.cal_user_id)
        work = self._users.recover(ask.user, upstream_id, body.email, vouch=_vouches(ask), actor=ask.actor)
        return await self._user(work)

    async def page(self, ask: Ask) -> Answer:
        """List users."""
        asked = ask.query
        query = UserQuery(
            client=ask.client.name,
            limit=asked.limit + 1,  # one more tells whether there is a next page
            cursor=asked.cursor,
            state=None if asked.state is None else GrantState(asked.state),
            upstream_id=None if asked.cal_user_id is None else str(asked.cal_user_id),
            email=asked.email,
        )
        return _json(users_page(await self._wait(self._users.page(query)), asked.limit))

    async def read(self, ask: Ask) -> Answer:
        """Show one user."""
        return await self._user(self._users.read(ask.user))

    async def change(self, ask: Ask) -> Answer:
        """Change a user's profile."""
        body = await ask.body(ProfileToChange)
        return await self._user(self._users.change(ask.user, body.change(), actor=ask.actor))

    async def delete(self, ask: Ask) -> Answer:
        """Delete a user."""
        await self._wait(self._users.delete(ask.user, actor=ask.actor))
        return Answer(204)

    async def token(self, ask: Ask) -> Answer:
        """Hand out a user's token."""
        work = self._answers.for_service(ask.user, min_ttl_s=ask.query.min_ttl, vouch=_vouches(ask))
        return Answer(200, service_token(await self._wait(work)))

    async def refresh(self, ask: Ask) -> Answer:
        """Replace a token that was refused, or the pair as it is."""
        body = await ask.body(RefreshAsked)
        actor = ask.actor
        if body.refused is not None:
            work = self._answers.complain(ask.user, body.refused, actor=actor)
        else:
            if body.force:
                ask.require("users:write")
            work = self._answers.rotate(ask.user, force=body.force, actor=actor)
        return Answer(200, service_token(await self._wait(work)))

    async def revoke(self, ask: Ask) -> Answer:
        """Make every token handed out so far stop counting."""
        await ask.body(Nothing)
        return await self._user(self._users.revoke(ask.user, actor=ask.actor))

    async def pause(self, ask: Ask) -> Answer:
        """Stop all work on a user."""
        await ask.body(Nothing)
        return await self._user(self._users.pause(ask.user, actor=ask.actor))

    async def resume(self, ask: Ask) -> Answer:
        """Take work on a user up again."""
        await ask.body(Nothing)
        return await self._user(self._users.resume(ask.user, actor=ask.actor))

    async def events(self, ask: Ask) -> Answer:
        """Show what happened to a user."""
        asked = ask.query
        query = EventQuery(
            limit=asked.limit + 1,  # one more tells whether there is a next page
            after=asked.cursor,
            kind=None if asked.kind is None else EventKind(asked.kind),
            since=asked.since,
            until=asked.until,
        )
        return _json(events_view(await self._wait(self._users.events(ask.user, query)), asked.limit))

    async def _user(self, work: Coroutine[Any, Any, User]) -> Answer:
        return _json(user_view(await self._wait(work)))


def _json(view: BaseModel, status: int = 200) -> Answer:
    return Answer(status, view.model_dump_json().encode())


def _vouches(ask: Ask) -> bool:
    """Whether the caller's word counts as the app's that a person has signed in."""
    return "vouch" in ask.caller.scopes
