"""Answers a caller with a user's current access token: look up, decide, and only then walk on.

Both doors for tokens come here: browsers with a token of theirs, services with a user's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from service.broker.asking import was_given
from service.broker.confirmations import Confirmations
from service.broker.crowds import Crowd, Crowds
from service.broker.errors import (
    GrantDead,
    GrantPaused,
    Invalid,
    MinTtlTooLong,
    RefreshInProgress,
    StorageUnavailable,
    TokenUnknown,
    TooManyRequests,
    UpstreamUnavailable,
    UserUnknown,
)
from service.broker.flights import Flights
from service.broker.grants import Grants
from service.broker.identity import NO_MARKS, Identities, Seen
from service.broker.limits import Limits
from service.broker.model import CurrentToken, LineageEntry, Trigger, UserKey
from service.broker.policy import (
    Asked,
    Decision,
    Presented,
    Terms,
    on_read,
    require_live,
    vouched_lately,
)
from service.broker.ports import CacheHit, Ports
from service.broker.recovery import Asker
from service.broker.refresh import Refresh, Why
from service.broker.reuse import Reuses
from service.broker.uses import Uses

_MOST_ROUNDS = 4
_VOUCH_WITHIN_S = 0.25

Admit = Callable[[UserKey], Awaitable[None]]
"""Raises when this user's token may not be given to who asks for it."""


class Answers:
    """Hands out current access tokens."""

    def __init__(
        self, ports: Ports, terms: Terms, refresh: Refresh, confirmations: Confirmations, grants: Grants
    ) -> None:
        self._ports = ports
        self._grants = grants
        self._terms = terms
        self.reuses = Reuses(ports.grants, ports.observer, ports.clock)
        self._identities = Identities(ports, terms, self.reuses)
        self._refresh = refresh
        self._confirmations = confirmations
        self.crowds = Crowds()
        self.uses = Uses(ports.grants, ports.clock)
        self._rotations = Limits(terms.user_rotations_per_s)
        self._kicked = Limits(1 / 5, burst=1)
        self._vouches: Flights[None] = Flights()

    async def for_browser(
        self, access_token: str, admit: Admit | None = None, *, address: Hashable | None = None
    ) -> CurrentToken:
        """Return a token that works, for one that was refused; `address` is where the caller is.

        Raises TokenUnknown for every token that does not identify a user (unknown, too old, revoked,
        of a user who is DEAD, PAUSED or gone: all alike), TooManyRequests, UpstreamUnavailable,
        StorageUnavailable, RefreshInProgress, and what `admit` raises: asked about identified users only.
        """
        crowd = self.crowds and self.crowds.lead(self._ports.fingerprints.of(access_token)[0])
        if not isinstance(crowd, Crowd):
            return await self._for_browser(access_token, admit, address, None)
        with crowd:
            return await self._for_browser(access_token, admit, address, crowd)

    async def _for_browser(
        self, access_token: str, admit: Admit | None, address: Hashable | None, crowd: Crowd | None
    ) -> CurrentToken:
        seen = await self._identities.identify(access_token)
        if admit is not None:
            await admit(seen.current.key)
            # It takes its time: a revoke, a newer pair, or another owner, that came meanwhile counts.
            asked, seen = seen, await self._identities.identify(access_token)
            if seen.current.key != asked.current.key:
                raise TokenUnknown
        if seen.entry is not None:
            self.reuses.look_at(seen.entry, seen.current.generation, address)
        try:
            current = await self._resolve(replace(seen, bound=True), Asked(seen.presented()), crowd=crowd)
        except (GrantDead, GrantPaused, UserUnknown) as error:
            raise TokenUnknown from error
        self.uses.note(current, by_browser=True)
        if crowd is not None and seen.entry is not None:
            await self._answer(crowd, seen.entry, current)
        return current

    async def _answer(self, crowd: Crowd, entry: LineageEntry, current: CurrentToken) -> None:
        """Let those who wait have what the cache holds by now, by which each of them is judged anew.

        Where the token presented is given back, upstream has confirmed it meanwhile: they joined that check.
        """
        if entry.generation == current.generation:
            crowd.end(CacheHit(entry, current, "near", confirmed=True))
            return
        hit = await self._ports.cache.current(entry.key) if crowd else None
        if hit is not None:
            crowd.end(CacheHit(entry, hit.current, hit.source))

    def _note_joined(self, key: UserKey, count: int) -> None:
        self._ports.observer.note("refresh.joined", key, count=count)

    async def for_service(self, key: UserKey, *, min_ttl_s: float | None, vouch: bool) -> CurrentToken:
        """Return the user's current token with at least `min_ttl_s` seconds of life.

        Raises UserUnknown, GrantDead, GrantPaused, MinTtlTooLong (over half the lifetime) and what
        `for_browser` raises but TokenUnknown.
        """
        seen = await self._current(key)
        min_ttl = timedelta(seconds=min_ttl_s or 0)
        if min_ttl > seen.current.lifetime / 2:
            raise MinTtlTooLong
        current = await self._resolve(seen, Asked(Presented.NOTHING, min_ttl=min_ttl))
        if vouch:
            current = await self._vouch(current)
        self.uses.note(current, by_browser=False)
        return current

    async def complain(self, key: UserKey, refused: str, *, actor: str) -> CurrentToken:  # noqa: ARG002 - the door names its caller for the audit
        """Return a token that works, for one of this user's that upstream refused."""
        seen = await self._identities.whose(refused)
        if seen is None or seen.entry is None or seen.entry.key != key:
            await self._current(key)
            raise Invalid(fields={"refused": "is not an access token of this user"})
        current = await self._resolve(seen, Asked(seen.presented()))
        self.uses.note(current, by_browser=False)
        return current

    async def rotate(self, key: UserKey, *, force: bool, actor: str) -> CurrentToken:
        """Replace the user's pair now; `force` has upstream replace every token of the user."""
        seen = await self._current(key, remember=False)
        self._limit(key)
        if force:
            grant = await self._grants.force(key, actor=actor)
        else:
            why = Why(Trigger.REQUEST, Asker(waits=True))
            refreshed = await self._refresh.refresh_user(key, seen.current.generation, why)
            grant = require_live(refreshed.grant)
        replaced = Seen(grant.current(), grant.marks, "rotation")
        current = await self._resolve(replaced, Asked(Presented.NOTHING), charged=True)
        self.uses.note(current, by_browser=False)
        return current

    async def _current(self, key: UserKey, *, remember: bool = True) -> Seen:
        hit: CacheHit | None = await self._ports.cache.current(key)
        if hit is not None:
            return Seen(hit.current, NO_MARKS, hit.source)
        grant = require_live(await self._ports.grants.load(key))
        if remember and grant.marks == NO_MARKS:
            await self._ports.cache.put(grant.current())
        return Seen(grant.current(), grant.marks, "postgres")

    async def _recheck(self, seen: Seen) -> None:
        """After a wait for upstream: a pause or a revoke that came meanwhile counts, if it can be known."""
        try:
            grant = require_live(await self._ports.grants.load(seen.current.key))
        except StorageUnavailable:
            return
        self._identities.admit_still(replace(seen, current=grant.current()))

    async def _resolve(
        self, seen: Seen, asked: Asked, *, charged: bool = False, crowd: Crowd | None = None
    ) -> CurrentToken:
        """Decide and act until there is a token to hand out; each round knows more than the last."""
        for _ in range(_MOST_ROUNDS):
            key, current = seen.current.key, seen.current
            if asked.presented is Presented.CURRENT and not asked.confirmed_now:
                lately = await self._ports.cache.recently_confirmed(key, current.generation)
                asked = replace(asked, confirmed_lately=lately)
            decision = on_read(current, seen.marks, asked, self._ports.clock(), self._terms)
            if decision in (Decision.SERVE, Decision.SERVE_AND_REFRESH):
                if decision is Decision.SERVE_AND_REFRESH:
                    self._kick(current)
                self._ports.observer.note("answer", key, source=seen.source)
                was_given(current.generation)
                return current
            if not charged:
                self._charge(current)
                charged = True
            if decision is Decision.CONFIRM:
                if crowd is not None and seen.marks.distrusted:
                    crowd.end()  # nothing may be cached of it: each of them joins the check by itself
                seen, asked = await self._confirm(seen, asked, crowd)
            else:
                if crowd is not None:
                    crowd.refreshes(partial(self._note_joined, key))
                seen, asked = await self._rotate(seen, asked)
        raise RefreshInProgress(retry_after_s=1.0)

    async def _confirm(self, seen: Seen, asked: Asked, crowd: Crowd | None) -> tuple[Seen, Asked]:
        if crowd is not None:
            crowd.refreshes(partial(self._note_joined, seen.current.key))
        if await self._confirmations.confirm(seen.current, seen.marks):
            if crowd is not None:
                crowd.close()  # who complains again from now on has the pair rotated
            await self._recheck(seen)
            return seen, replace(asked, confirmed_now=True)
        return replace(seen, marks=replace(seen.marks, refused=True)), asked

    async def _rotate(self, seen: Seen, asked: Asked) -> tuple[Seen, Asked]:
        key = seen.current.key
        complained = asked.presented is Presented.CURRENT
        why = Why(Trigger.REQUEST, Asker(waits=True, complained=complained))
        refreshed = await self._refresh.refresh_user(key, seen.current.generation, why)
        grant = require_live(refreshed.grant)
        moved = grant.generation > seen.current.generation
        if not moved and not refreshed.confirmed:
            raise UpstreamUnavailable(
                "The token held has less life than was asked for and cannot be replaced before it ends.",
                retry_after_s=max(1.0, (seen.current.expires_at - self._ports.clock()).total_seconds()),
            )
        presented = Presented.SUPERSEDED if moved and complained else asked.presented
        source = "rotation" if moved else "postgres"
        after = replace(seen, current=grant.current(), marks=grant.marks, source=source)
        self._identities.admit_still(after)
        return after, replace(asked, presented=presented, confirmed_now=refreshed.confirmed)

    def _kick(self, current: CurrentToken) -> None:
        """Refresh behind the caller's back; not again for the same generation within 5 s."""
        if self._kicked.take((current.key, current.generation), self._ports.clock()) > 0:
            return
        why = Why(Trigger.REQUEST, Asker(waits=False))
        self._refresh.kick(current.key, current.generation, why)

    def _charge(self, current: CurrentToken) -> None:
        """Count what costs something: a call that joins what is under way costs nothing."""
        refreshing = self._refresh.running(current.key, current.generation)
        if not (refreshing or self._confirmations.running(current)):
            self._limit(current.key)

    def _limit(self, key: UserKey) -> None:
        wait_s = self._rotations.take(key, self._ports.clock())
        if wait_s > 0:
            raise TooManyRequests(retry_after_s=wait_s)

    async def _vouch(self, current: CurrentToken) -> CurrentToken:
        """Note that the app vouches for the user; a live token does not wait for a database that ails."""
        now = self._ports.clock()
        if vouched_lately(current.binding, now):
            return current
        vouching, _ = self._vouches.start(current.key, lambda: self._ports.grants.vouch(current.key, now))
        await asyncio.wait({vouching}, timeout=_VOUCH_WITHIN_S)
        if not vouching.done() or isinstance(vouching.exception(), StorageUnavailable):
            self._ports.observer.note("vouch.late", current.key)
            return current
        vouching.result()
        vouched = current._replace(binding=current.binding._replace(vouched_at=now))
        if await self._ports.cache.current(current.key) is not None:
            await self._ports.cache.put(vouched)
        return vouched
