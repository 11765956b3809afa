"""The app's users, from their creation to their deletion, as the internal door asks for them."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replaced

from service.broker.circuits import Circuits
from service.broker.creation import Creation, new_grant
from service.broker.errors import (
    Conflict,
    GrantLive,
    Invalid,
    StorageUnavailable,
    UpstreamUnavailable,
    UserUnknown,
)
from service.broker.expiry import place_enrolled, place_minted
from service.broker.grants import Grants
from service.broker.model import (
    ChangeOutcome,
    Denial,
    Denied,
    Done,
    Enrolment,
    Found,
    GrantEvent,
    GrantState,
    LookupOutcome,
    MintedPair,
    Profile,
    ProfileChange,
    Rotated,
    RotationOutcome,
    Stated,
    TokenPair,
    Unavailable,
    User,
    UserKey,
)
from service.broker.policy import Terms, require_live
from service.broker.ports import NewGrant, Ports, UserQuery

_PERSIST_AGAIN_S = 0.2
_TRY_AGAIN_S = 5.0


class Users:
    """The managed users of every client."""

    def __init__(
        self, ports: Ports, terms: Terms, circuits: Circuits, creation: Creation, grants: Grants
    ) -> None:
        self._ports = ports
        self._terms = terms
        self._circuits = circuits
        self._creation = creation
        self._grants = grants

    async def create(self, key: UserKey, profile: Profile, *, vouch: bool, actor: str) -> tuple[User, bool]:
        """Return the user and whether this call created it; see Creation.create."""
        return await self._creation.create(key, profile, vouch=vouch, actor=actor)

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

    async def events(self, key: UserKey, limit: int) -> list[GrantEvent]:
        """Return what happened to the user's grant, newest first; raises UserUnknown."""
        await self.read(key)
        return await self._grants.events(key, limit)

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
        stated = self._ports.providers[key.client].describe(enrolment.access_token)
        if stated.owner_id != enrolment.upstream_id:
            raise Invalid(fields={"accessToken": "is not a token of the upstream user in calUserId"})
        stated = Stated(
            stated.owner_id,
            stated.issued_at,
            enrolment.access_token_expires_at or stated.ends_at,
            enrolment.refresh_token_expires_at or stated.refresh_token_ends_at,
        )
        minted = MintedPair(enrolment.access_token, enrolment.refresh_token, stated)
        placed = place_enrolled(
            minted,
            self._ports.clock(),
            configured=self._terms.access_token_lifetime,
            margin=self._terms.refresh_margin,
            roll=self._ports.roll(),
        )
        grant = self._grant(key, enrolment.upstream_id, placed.pair, "grant.enrolled", actor, vouch=vouch)
        linked = await self._ports.users.link(grant, enrolment.profile, replace=replace)
        if linked is None:
            require_live(await self._ports.grants.load(key))
            raise GrantLive
        await self._announce(linked)
        return linked

    async def recover(self, key: UserKey, upstream_id: str, email: str, *, vouch: bool, actor: str) -> User:
        """Fetch new tokens for a user whose tokens were lost, verified by id and e-mail upstream.

        Every other token of the user dies. Raises Invalid when id and e-mail do not belong together.
        """
        provider = self._ports.providers[key.client]
        await self._ready(key.client)
        found = _answered(await provider.read_user(upstream_id))
        if [user.email for user in found.users] != [email]:
            raise Invalid(fields={"email": "does not belong to the upstream user in calUserId"})
        await self._ready(key.client)
        sent_at = self._ports.clock()
        minted = _minted(await provider.recover(upstream_id))
        placed = place_minted(
            minted,
            sent_at,
            configured=self._terms.access_token_lifetime,
            margin=self._terms.refresh_margin,
            roll=self._ports.roll(),
        )
        grant = self._grant(key, upstream_id, placed.pair, "grant.recovered", actor, vouch=vouch)
        # An earlier try whose answer was lost may still land and replace this pair.
        linked = await self._persist(_distrusted(grant), Profile(email=email))
        self._ports.observer.note("grant.recovered", key, kind="recover")
        await self._announce(linked)
        return linked

    async def change(self, key: UserKey, change: ProfileChange, *, actor: str) -> User:  # noqa: ARG002 - named for the audit
        """Change fields of the user's profile, upstream and here; raises Conflict, Invalid."""
        user = await self.read(key)
        profile = replaced(user.profile, **change.fields)  # type: ignore[arg-type]  # the door has checked them
        if profile.email != user.profile.email:
            others = await self._ports.users.list_users(UserQuery(key.client, limit=1, email=profile.email))
            if others:
                raise Conflict("The e-mail address belongs to another user.")
        await self._ready(key.client)
        provider = self._ports.providers[key.client]
        _done(await provider.change_user(user.upstream_id or "", change))
        await self._ports.users.change_profile(key, profile)
        return await self.read(key)

    async def delete(self, key: UserKey, *, actor: str) -> None:
        """Delete the user upstream and forget every token and fingerprint here.

        From the first moment on no token of the user is served; when it raises, the same call goes on.
        """
        user = await self._ports.users.load_user(key)
        if user is None:
            raise UserUnknown
        if user.upstream_id is not None:
            paused = GrantState.PAUSED
            await self._ports.grants.set_state(key, paused, "deleting", due_at=None, actor=actor)
            await self._ports.cache.forget(key)
            await asyncio.sleep(self._ports.cache.near_life_s)
            await self._ready(key.client)
            outcome = await self._ports.providers[key.client].delete_user(user.upstream_id)
            if not (isinstance(outcome, Denied) and outcome.code is Denial.USER_GONE):
                _done(outcome)
        await self._ports.users.forget(key)
        await self._ports.cache.forget(key)

    def _grant(
        self, key: UserKey, upstream_id: str, pair: TokenPair, event: str, actor: str, *, vouch: bool
    ) -> NewGrant:
        grant = new_grant(key, upstream_id, pair, self._terms, event=event, actor=actor)
        return replaced(grant, vouch=vouch)

    async def _announce(self, linked: User) -> None:
        """Let every process see the new generation at once."""
        if linked.grant is None:
            return
        if not linked.grant.marks.distrusted:
            await self._ports.cache.put(linked.grant.current())
        else:
            await self._ports.cache.block(linked.key, linked.grant.generation)
        await self._ports.wakeups.notify(linked.key, linked.grant.generation)

    async def _ready(self, client: str) -> None:
        """Wait for the client's turn upstream."""
        await self._circuits.require(client)
        wait_s = (self._terms.claim_deadline - self._terms.upstream_timeout).total_seconds()
        if not await self._ports.budget.take(client, wait_s):
            raise UpstreamUnavailable(
                "The client's budget of upstream calls is used up for now.", retry_after_s=wait_s
            )

    async def _persist(self, grant: NewGrant, profile: Profile) -> User:
        while True:
            try:
                linked = await self._ports.users.link(grant, profile, replace=True)
            except StorageUnavailable:
                self._ports.observer.note("refresh.unsettled", grant.key)
                await asyncio.sleep(_PERSIST_AGAIN_S)
                continue
            if linked is None:
                raise UserUnknown
            return linked


def _distrusted(grant: NewGrant) -> NewGrant:
    return replaced(grant, distrust=True)


def _answered(outcome: LookupOutcome) -> Found:
    if isinstance(outcome, Found):
        return outcome
    raise _failure(outcome)


def _minted(outcome: RotationOutcome) -> MintedPair:
    if isinstance(outcome, Rotated):
        return outcome.minted
    raise _failure(outcome)


def _done(outcome: ChangeOutcome) -> None:
    if not isinstance(outcome, Done):
        raise _failure(outcome)


def _failure(outcome: object) -> Exception:
    """Return what the caller is told about an answer of upstream that is not the one asked for."""
    match outcome:
        case Denied(Denial.USER_GONE):
            return Invalid(fields={"calUserId": "is not a user of this OAuth client upstream"})
        case Denied(Denial.EXISTS):
            return Conflict("Upstream has another user with this e-mail address.")
        case Denied(Denial.INVALID, detail):
            fields = dict.fromkeys(filter(None, detail.split(",")), "was refused by upstream")
            return Invalid("Upstream refused the user's details.", fields=fields)
        case Unavailable(_, retry_after_s):
            return UpstreamUnavailable(retry_after_s=retry_after_s or _TRY_AGAIN_S)
    return UpstreamUnavailable(
        "Upstream gave no usable answer; the change may or may not have been carried out.",
        retry_after_s=_TRY_AGAIN_S,
    )
