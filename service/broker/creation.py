"""Creates managed users so that a crash or a lost answer never makes two, and never takes over a stranger's.

An intent row precedes every create; a user that exists upstream is adopted only when an earlier create
of this very intent may have made it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from service.broker.calls import Calls
from service.broker.errors import (
    Conflict,
    ExistsUpstream,
    RefreshInProgress,
    StorageUnavailable,
    UpstreamUnavailable,
)
from service.broker.expiry import place_minted
from service.broker.flights import Flights, join
from service.broker.model import (
    Created,
    Denial,
    Denied,
    Done,
    Found,
    Intent,
    MintedPair,
    Profile,
    Rotated,
    TokenPair,
    Unavailable,
    UpstreamUser,
    User,
    UserKey,
)
from service.broker.persistence import persistently
from service.broker.policy import Terms, counts_until, keep_alive_at
from service.broker.ports import NewGrant, Ports

_SENDS = 2
_CLOCKS_DIFFER_BY = timedelta(minutes=2)
_POLL_S = 0.25
_NOT_CONNECTED = (
    "Upstream has a user with this e-mail that this call did not create, or whose creation broke off there "
    "before it was connected to this OAuth client. Enrol or recover it if it is yours; else remove it "
    "upstream, or use another e-mail address."
)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A create under way: whose, and the intent it is committed under."""

    key: UserKey
    profile: Profile
    intent: Intent
    vouch: bool
    actor: str


class Creation:
    """Creates users upstream, once."""

    def __init__(self, ports: Ports, terms: Terms, calls: Calls) -> None:
        self._ports = ports
        self._terms = terms
        self._calls = calls
        self._flights: Flights[tuple[User, bool]] = Flights("create", ports.tracer)

    async def create(self, key: UserKey, profile: Profile, *, vouch: bool, actor: str) -> tuple[User, bool]:
        """Return the user and whether this call created it; the same call again finds it.

        Raises Conflict (id or e-mail of another user), ExistsUpstream, Invalid (upstream refused a
        value), UpstreamUnavailable, StorageUnavailable, RefreshInProgress (another process is at it).
        """
        run = partial(self._create, key, profile, vouch, actor)
        task, joined = self._flights.start(key, run, client=key.client)
        user, created = await join(task)
        if user.profile.email != profile.email:
            raise Conflict("A user with this id exists and has another e-mail address.")
        return user, created and not joined

    async def undo(self, user: User) -> None:
        """Delete upstream what a create of this user that was begun may have made there, and nothing else.

        Raises RefreshInProgress while somebody is at it, UpstreamUnavailable when it cannot be told.
        """
        if self._flights.running(user.key):
            raise RefreshInProgress("The user is being created just now.", retry_after_s=2.0)
        taken = await self._ports.users.begin_create(user.key, user.profile, self._ports.owner)
        if taken.intent is None or taken.intent.owner != self._ports.owner:
            raise RefreshInProgress("The user is being created by another process.", retry_after_s=5.0)
        begun = _Begun(user.key, user.profile, taken.intent, vouch=False, actor="")
        if not taken.intent.uncertain:
            return
        await self._allowed(begun, taken.intent)
        ours = await self._find_ours(begun, taken.intent)
        if ours is None:
            return
        outcome = await self._ports.providers[user.key.client].delete_user(ours.upstream_id)
        gone = isinstance(outcome, Denied) and outcome.code is Denial.USER_GONE
        if not gone and not isinstance(outcome, Done):
            await self._give_up(begun, taken.intent, uncertain=True)
            raise await self._calls.failure(user.key.client, outcome)

    async def drain(self, timeout_s: float) -> int:
        """Let the running creates end."""
        return await self._flights.drain(timeout_s)

    async def _create(self, key: UserKey, profile: Profile, vouch: bool, actor: str) -> tuple[User, bool]:
        user = await self._begin(key, profile)
        if user.intent is None:
            return user, False
        return await self._send(_Begun(key, profile, user.intent, vouch, actor)), True

    async def _begin(self, key: UserKey, profile: Profile) -> User:
        """Take the intent, waiting for another process that holds it for as long as a flight may take."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._terms.flight_limit.total_seconds()
        while True:
            user = await self._ports.users.begin_create(key, profile, self._ports.owner)
            if user.intent is None or user.intent.owner == self._ports.owner:
                return user
            if loop.time() >= ends_at:
                raise RefreshInProgress("The user is being created by another process.", retry_after_s=5.0)
            await asyncio.sleep(_POLL_S)

    async def _send(self, begun: _Begun) -> User:
        intent = begun.intent
        for _ in range(_SENDS):
            await self._allowed(begun, intent)
            earlier, noted = intent, await self._ports.users.note_attempt(begun.key, intent)
            if noted is None:
                raise RefreshInProgress("The user is being created by another process.", retry_after_s=5.0)
            sent_at = self._ports.clock()
            outcome = await self._ports.providers[begun.key.client].create_user(begun.profile)
            match outcome:
                case Created(created, minted):
                    return await self._link(begun, noted, created, minted, sent_at, distrust=False)
                case Denied(Denial.EXISTS):
                    return await self._adopt(begun, noted, uncertain=earlier.uncertain)
                case Denied() | Unavailable():
                    await self._give_up(begun, noted, uncertain=earlier.uncertain)
                    raise await self._calls.failure(begun.key.client, outcome)
                case _:
                    intent = noted
        await self._give_up(begun, intent, uncertain=True)
        raise UpstreamUnavailable(
            "Upstream's answer was lost: the user may exist there already. The same call again finds it.",
            retry_after_s=5.0,
        )

    async def _allowed(self, begun: _Begun, intent: Intent) -> None:
        try:
            await self._calls.turn(begun.key.client)
        except UpstreamUnavailable:
            await self._give_up(begun, intent, uncertain=intent.uncertain)
            raise

    async def _adopt(self, begun: _Begun, intent: Intent, *, uncertain: bool) -> User:
        """Take over what an earlier send of this intent made, and nothing else."""
        ours = await self._find_ours(begun, intent) if uncertain else None
        if ours is None:
            await self._give_up(begun, intent, uncertain=False)
            raise ExistsUpstream(_NOT_CONNECTED if uncertain else None)
        sent_at = self._ports.clock()
        outcome = await self._ports.providers[begun.key.client].recover(ours.upstream_id)
        if isinstance(outcome, Rotated):
            # An earlier try of this adoption may still land upstream and replace this pair.
            return await self._link(begun, intent, ours, outcome.minted, sent_at, distrust=True)
        await self._give_up(begun, intent, uncertain=True)
        if isinstance(outcome, Denied) and outcome.code is Denial.USER_GONE:
            raise ExistsUpstream(_NOT_CONNECTED)
        await self._calls.heard(begun.key.client, outcome)
        raise UpstreamUnavailable(
            "The user exists upstream and its tokens could not be fetched. The same call again goes on.",
            retry_after_s=5.0,
        )

    async def _find_ours(self, begun: _Begun, intent: Intent) -> UpstreamUser | None:
        outcome = await self._ports.providers[begun.key.client].find_users(begun.profile.email)
        if not isinstance(outcome, Found):
            await self._give_up(begun, intent, uncertain=True)
            raise UpstreamUnavailable(
                "The user may exist upstream and could not be looked up. The same call again goes on.",
                retry_after_s=5.0,
            )
        earliest = intent.begun_at - _CLOCKS_DIFFER_BY
        ours = [u for u in outcome.users if u.created_at is None or u.created_at >= earliest]
        return ours[0] if len(ours) == 1 else None

    async def _link(
        self,
        begun: _Begun,
        intent: Intent,
        upstream: UpstreamUser,
        minted: MintedPair,
        sent_at: datetime,
        *,
        distrust: bool,
    ) -> User:
        """Commit the first pair, for as long as the process lives: upstream has already made it."""
        placed = place_minted(
            minted,
            sent_at,
            configured=self._terms.access_token_lifetime,
            margin=self._terms.refresh_margin,
            roll=self._ports.roll(),
        )
        grant = new_grant(
            begun.key,
            upstream.upstream_id,
            placed.pair,
            self._terms,
            event="grant.created",
            actor=begun.actor,
        )
        grant = replace(grant, vouch=begun.vouch, distrust=distrust, intent=intent)
        linked = await persistently(
            lambda: self._ports.users.link(grant, begun.profile, replace=True),
            self._ports.observer,
            begun.key,
        )
        if linked is None:
            raise RefreshInProgress("The user was changed by another call meanwhile.", retry_after_s=1.0)
        return linked

    async def _give_up(self, begun: _Begun, intent: Intent, *, uncertain: bool) -> None:
        try:
            await self._ports.users.abandon_create(begun.key, intent, uncertain=uncertain)
        except StorageUnavailable:
            self._ports.observer.note("claim.left", begun.key, reason="storage_unavailable")


def new_grant(
    key: UserKey, upstream_id: str, pair: TokenPair, terms: Terms, *, event: str, actor: str
) -> NewGrant:
    """Return a user's first (or replacing) pair as it is stored: nobody was given it yet."""
    return NewGrant(
        key=key,
        upstream_id=upstream_id,
        pair=pair,
        counts_until=counts_until(pair.expires_at, terms),
        due_at=pair.refresh_at if terms.ahead_all else keep_alive_at(pair),
        event=event,
        actor=actor,
    )
