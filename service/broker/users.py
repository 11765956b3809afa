"""The app's users, from their creation to their deletion, as the internal door asks for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replaced
from datetime import datetime

from service.broker.calls import Calls
from service.broker.creation import Creation, new_grant
from service.broker.enrolment import announce, enrolled
from service.broker.errors import (
    BrokerError,
    Conflict,
    GrantLive,
    GrantPaused,
    Invalid,
    SealBroken,
    UserUnknown,
)
from service.broker.expiry import place_minted
from service.broker.grants import DELETING, Grants
from service.broker.model import (
    Denial,
    Denied,
    Done,
    Enrolment,
    Event,
    EventQuery,
    Found,
    GrantState,
    LookupOutcome,
    MintedPair,
    Profile,
    ProfileChange,
    Rotated,
    TokenPair,
    User,
    UserKey,
)
from service.broker.persistence import persistently
from service.broker.policy import Terms, require_live
from service.broker.ports import NewGrant, Ports, UserQuery


class Users:
    """The managed users of every client."""

    def __init__(self, ports: Ports, terms: Terms, calls: Calls, creation: Creation, grants: Grants) -> None:
        self._ports = ports
        self._terms = terms
        self._calls = calls
        self._creation = creation
        self._grants = grants

    async def create(self, key: UserKey, profile: Profile, *, vouch: bool, actor: str) -> tuple[User, bool]:
        """Return the user and whether this call created it; see Creation.create."""
        user, created = await self._creation.create(key, profile, vouch=vouch, actor=actor)
        if vouch and not created:
            await self._vouch(key)
        return user, created

    async def _vouch(self, key: UserKey) -> None:
        """Note that the app has vouched, and let what is cached say so too."""
        now = self._ports.clock()
        await self._ports.grants.vouch(key, now)
        self._ports.observer.note("user.vouched", key)
        hit = await self._ports.cache.current(key)
        if hit is not None:
            binding = hit.current.binding._replace(vouched_at=now)
            await self._ports.cache.put(hit.current._replace(binding=binding))

    async def revoke(self, key: UserKey, *, actor: str) -> User:
        """Make every token handed out so far stop counting, here and upstream; see Grants.revoke."""
        await self._grants.revoke(key, actor=actor)
        return await self.read(key)

    async def pause(self, key: UserKey, *, actor: str) -> User:
        """Stop all work on the user; see Grants.pause."""
        await self._grants.pause(key, actor=actor)
        return await self.read(key)

    async def resume(self, key: UserKey, *, actor: str) -> User:
        """Take the work on the user up again; see Grants.resume."""
        await self._grants.resume(key, actor=actor)
        return await self.read(key)

    async def events(self, key: UserKey, query: EventQuery) -> list[Event]:
        """Return what happened to the user, newest first, also after its end; raises UserUnknown."""
        found = await self._ports.events.page(key, query)
        if not found:
            await self.read(key)
        return found

    async def page(self, query: UserQuery) -> list[User]:
        """Return one page of users in the order of their ids."""
        return await self._ports.users.list_users(query)

    async def read(self, key: UserKey) -> User:
        """Return the user; raises UserUnknown."""
        user = await self._ports.users.load_user(key)
        if user is None or user.upstream_id is None:
            raise UserUnknown
        return user

    async def enrol(
        self, key: UserKey, enrolment: Enrolment, *, replace: bool, vouch: bool, actor: str
    ) -> User:
        """Take over a pair that the app holds; onto a LIVE grant only with `replace`.

        Raises Invalid when the token names another upstream user, GrantLive, GrantPaused, Conflict.
        """
        grant = enrolled(self._ports, self._terms, key, enrolment, actor=actor)
        grant = replaced(grant, vouch=vouch)
        linked = await self._ports.users.link(grant, enrolment.profile, replace=replace)
        if linked is None:
            require_live(await self._ports.grants.load(key))
            raise GrantLive
        await announce(self._ports, linked)
        return linked

    async def recover(self, key: UserKey, upstream_id: str, email: str, *, vouch: bool, actor: str) -> User:
        """Fetch new tokens for a user whose tokens were lost, verified by id and e-mail upstream.

        Every other token of the user dies, those that cannot be opened here as well. Raises Invalid when id
        and e-mail do not belong together.
        """
        provider = self._ports.providers[key.client]
        await self._calls.turn(key.client)
        found = await provider.read_user(upstream_id)
        if not isinstance(found, Found) or [user.email for user in found.users] != [email]:
            raise await self._not_verified(key.client, found)
        user = await self._ports.users.load_user(key)
        held = user.grant if user is not None else None
        if held is not None and held.state is GrantState.PAUSED:
            raise GrantPaused
        live = held is not None and held.state is GrantState.LIVE and held.upstream_id == upstream_id
        if live and await self._readable(key):
            await self._grants.force(key, actor=actor)
            return await self.read(key)
        await self._calls.turn(key.client)
        sent_at = self._ports.clock()
        outcome = await provider.recover(upstream_id)
        if not isinstance(outcome, Rotated):
            raise await self._calls.failure(key.client, outcome)
        pair = self._placed(outcome.minted, sent_at)
        grant = self._grant(key, upstream_id, pair, "grant.recovered", actor, vouch=vouch)
        # An earlier try whose answer was lost may still land and replace this pair.
        grant = replaced(grant, distrust=True, over_unreadable=True)
        linked = await persistently(
            lambda: self._ports.users.link(grant, Profile(email=email), replace=True),
            self._ports.observer,
            key,
        )
        if linked is None:
            raise GrantPaused
        self._ports.observer.note("grant.recovered", key, kind="recover")
        await announce(self._ports, linked)
        return linked

    async def _readable(self, key: UserKey) -> bool:
        try:
            await self._ports.grants.load(key)
        except SealBroken:
            return False
        return True

    async def change(self, key: UserKey, change: ProfileChange, *, actor: str) -> User:
        """Change fields of the user's profile, upstream and here; raises Conflict, Invalid."""
        user = await self.read(key)
        profile = replaced(user.profile, **change.fields)  # type: ignore[arg-type]  # the door has checked them
        if profile.email != user.profile.email:
            others = await self._ports.users.list_users(UserQuery(key.client, limit=1, email=profile.email))
            if others:
                raise Conflict("The e-mail address belongs to another user.")
        await self._calls.turn(key.client)
        provider = self._ports.providers[key.client]
        outcome = await provider.change_user(user.upstream_id or "", change)
        if isinstance(outcome, Denied) and outcome.code is Denial.USER_GONE:
            await self._grants.bury(key, "user_gone", actor=actor)
        if not isinstance(outcome, Done):
            raise await self._calls.failure(key.client, outcome)
        await self._ports.users.change_profile(key, profile, fields=list(change.fields), actor=actor)
        return await self.read(key)

    async def delete(self, key: UserKey, *, actor: str) -> None:
        """Delete the user upstream and forget every token and fingerprint here.

        From the first moment on no token of the user is served; when it raises, the same call goes on.
        """
        user = await self._ports.users.load_user(key)
        if user is None:
            raise UserUnknown
        if user.upstream_id is None:
            await self._creation.undo(user)
        else:
            paused = GrantState.PAUSED
            await self._ports.grants.set_state(key, paused, DELETING, due_at=None, actor=actor)
            await self._ports.cache.forget(key)
            await asyncio.sleep(self._ports.cache.near_life_s)
            await self._calls.turn(key.client)
            outcome = await self._ports.providers[key.client].delete_user(user.upstream_id)
            gone = isinstance(outcome, Denied) and outcome.code is Denial.USER_GONE
            if not gone and not isinstance(outcome, Done):
                raise await self._calls.failure(key.client, outcome)
        await self._ports.users.forget(key, actor=actor)
        await self._ports.cache.forget(key)

    def _grant(
        self, key: UserKey, upstream_id: str, pair: TokenPair, event: str, actor: str, *, vouch: bool
    ) -> NewGrant:
        grant = new_grant(key, upstream_id, pair, self._terms, event=event, actor=actor)
        return replaced(grant, vouch=vouch)

    def _placed(self, minted: MintedPair, sent_at: datetime) -> TokenPair:
        return place_minted(
            minted,
            sent_at,
            configured=self._terms.access_token_lifetime,
            margin=self._terms.refresh_margin,
            roll=self._ports.roll(),
        ).pair

    async def _not_verified(self, client: str, found: LookupOutcome) -> BrokerError:
        if isinstance(found, Found):
            return Invalid(fields={"email": "does not belong to the upstream user in calUserId"})
        if isinstance(found, Denied) and found.code is Denial.USER_GONE:
            return Invalid(fields={"calUserId": "is not a user of this OAuth client upstream"})
        return await self._calls.failure(client, found)
