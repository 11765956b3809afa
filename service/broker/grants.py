"""What is done to a grant on somebody's order: force, revoke, pause, resume."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.broker.errors import GrantDead, GrantPaused, Invalid, RefreshInProgress, UserUnknown
from service.broker.model import Grant, GrantState, Marks, Trigger, UserKey
from service.broker.policy import Terms, due_at, require_live
from service.broker.ports import Ports
from service.broker.recovery import Asker
from service.broker.refresh import Refresh, Why

_MOST_ROUNDS = 3

DELETING = "deleting"
"""The reason of a PAUSED grant whose user is being deleted upstream."""


class Grants:
    """Orders of the app's services and of operators about one user's grant."""

    def __init__(self, ports: Ports, terms: Terms, refresh: Refresh) -> None:
        self._ports = ports
        self._terms = terms
        self._refresh = refresh

    async def force(self, key: UserKey, *, actor: str) -> Grant:
        """Have upstream replace every token of the user; earlier tokens still identify the user here.

        Once it has returned, no process serves an older token. When it raises (UpstreamUnavailable,
        RefreshInProgress, StorageUnavailable), the order stands and the worker carries it out.
        """
        return await self._replace_all(key, revoke=False, actor=actor)

    async def revoke(self, key: UserKey, *, actor: str) -> Grant:
        """As `force`, and every token handed out so far stops identifying the user at once."""
        return await self._replace_all(key, revoke=True, actor=actor)

    async def pause(self, key: UserKey, *, actor: str) -> Grant:
        """Stop all work on the user; its tokens are not served until it is resumed."""
        grant = await self._ports.grants.load(key)
        if grant is None:
            raise UserUnknown
        if grant.state is GrantState.DEAD:
            raise GrantDead
        paused = await self._set_state(grant, GrantState.PAUSED, "paused", actor)
        await self._ports.cache.block(key, grant.generation)
        await asyncio.sleep(self._ports.cache.near_life_s)
        return paused

    async def resume(self, key: UserKey, *, actor: str) -> Grant:
        """Take up the work on a paused user again."""
        grant = await self._ports.grants.load(key)
        if grant is None or grant.state is not GrantState.PAUSED:
            return require_live(grant)
        if grant.reason == DELETING:
            raise GrantPaused("The user is being deleted: repeat the delete, it goes on.")
        resumed = await self._set_state(grant, GrantState.LIVE, "resumed", actor)
        if resumed.marks == Marks():
            await self._ports.cache.put(resumed.current(), reopen=True)
        return resumed

    async def bury(self, key: UserKey, reason: str, *, actor: str) -> None:
        """Say that the grant is dead: upstream has said so outside a refresh."""
        await self._ports.cache.forget(key)
        await self._ports.grants.set_state(key, GrantState.DEAD, reason, due_at=None, actor=actor)
        self._ports.observer.note("grant.died", key, reason=reason)

    async def _replace_all(self, key: UserKey, *, revoke: bool, actor: str) -> Grant:
        """Mark, wait out one near-cache life, then call upstream: what raced the mark is gone by then."""
        if not self._ports.providers[key.client].recovers:
            raise Invalid(
                "This upstream cannot replace a user's tokens on request: the user must consent anew."
            )
        marked = await self._ports.grants.request_force(key, revoke=revoke, actor=actor)
        grant = require_live(marked)
        await self._ports.cache.block(key, grant.generation)
        await asyncio.sleep(self._ports.cache.near_life_s)
        why = Why(Trigger.FORCED, Asker(waits=True))
        for _ in range(_MOST_ROUNDS):
            grant = (await self._refresh.refresh_user(key, grant.generation, why)).grant
            if not grant.marks.force_pending:
                return grant
            # A plain rotation was under way when the order came: it does not replace the older tokens.
        raise RefreshInProgress(retry_after_s=1.0)

    async def _set_state(self, grant: Grant, state: GrantState, reason: str, actor: str) -> Grant:
        after = replace(grant, state=state, reason=reason, claim=None)
        used = grant.first_used_at is not None
        due = due_at(after, self._terms, used=used)
        moved = await self._ports.grants.set_state(grant.key, state, reason, due_at=due, actor=actor)
        if moved is None:
            raise UserUnknown
        return moved
