"""Takes over pairs that an app holds, many at a time: what came of each row, however often it is given.

Keeps no state of its own: what was taken over already is recognised by what is stored, so a run that was
killed is simply begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from service.broker.enrolment import announce, enrolled
from service.broker.errors import BrokerError, Conflict, GrantDead, GrantLive, GrantPaused, StorageUnavailable
from service.broker.model import Enrolment, GrantState, HeldPair, Recorded, UserKey
from service.broker.policy import Terms, require_live
from service.broker.ports import NewGrant, Ports
from service.broker.verification import Verification

_AT_ONCE = 5


class Fate(StrEnum):
    """What comes of a row."""

    IMPORTED = "imported"
    REPLACED = "replaced"
    ALREADY = "already"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a row; of a rejected one also why."""

    fate: Fate
    error: BrokerError | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """How rows are taken over: whether a newer pair replaces a live one, and what is only looked at.

    `verify` asks upstream about each pair before it is stored. `dry_run` stores nothing.
    """

    actor: str
    replace: bool = False
    vouch: bool = True
    verify: bool = False
    dry_run: bool = False


Row = tuple[UserKey, Enrolment]


class Imports:
    """Takes pairs over."""

    def __init__(self, ports: Ports, terms: Terms, verification: Verification) -> None:
        self._ports = ports
        self._terms = terms
        self._verification = verification

    def owner_of(self, client: str, access_token: str) -> str | None:
        """Return whose an access token says it is upstream; nothing of it is verified."""
        return self._ports.providers[client].describe(access_token).owner_id

    async def note(self, recorded: Recorded) -> None:
        """Keep that a run has ended among the events."""
        await self._ports.events.write([recorded])

    async def take(self, client: str, rows: Sequence[Row], order: Order) -> list[Told]:
        """Take over these rows of one client, no user twice among them; tells of each, in their order.

        Raises StorageUnavailable and UpstreamUnavailable; then some may have been taken over, and giving
        the same rows again finds out which.
        """
        told: dict[int, Told] = {}
        wanted = self._enrolled(rows, order, told)
        held = await self._ports.users.held(client, list(wanted.values()))
        todo: dict[int, Fate] = {}
        for place, grant in wanted.items():
            standing = fate_of(grant, held.get(grant.key.user_id), replace=order.replace)
            if standing.fate in (Fate.ALREADY, Fate.REJECTED):
                told[place] = standing
            else:
                todo[place] = standing.fate
        if order.verify:
            await self._verified(client, wanted, todo, told)
        if order.dry_run:
            told.update({place: Told(fate) for place, fate in todo.items()})
        else:
            await self._store(client, rows, wanted, todo, order, told)
        return [told[place] for place in range(len(rows))]

    def _enrolled(self, rows: Sequence[Row], order: Order, told: dict[int, Told]) -> dict[int, NewGrant]:
        """Return the grants of the rows that can be some, by their places."""
        grants = {}
        for place, (key, enrolment) in enumerate(rows):
            try:
                grant = enrolled(self._ports, self._terms, key, enrolment, actor=order.actor)
                grants[place] = replace(grant, vouch=order.vouch)
            except BrokerError as wrong:
                told[place] = Told(Fate.REJECTED, wrong)
        return grants

    async def _verified(
        self, client: str, wanted: dict[int, NewGrant], todo: dict[int, Fate], told: dict[int, Told]
    ) -> None:
        """Leave to be stored what upstream confirms."""
        refused = await self._verification.refused(client, {place: wanted[place] for place in todo})
        for place, error in refused.items():
            told[place] = Told(Fate.REJECTED, error)
            del todo[place]

    async def _store(
        self,
        client: str,
        rows: Sequence[Row],
        wanted: dict[int, NewGrant],
        todo: dict[int, Fate],
        order: Order,
        told: dict[int, Told],
    ) -> None:
        """Store those of new users together; whatever stands in the way of one is found out alone."""
        new = [place for place, fate in todo.items() if fate is Fate.IMPORTED]
        pairs = [(wanted[place], rows[place][1].profile) for place in new]
        stored = await self._ports.users.link_new(client, pairs) if pairs else frozenset()
        told.update({place: Told(Fate.IMPORTED) for place in new if wanted[place].key.user_id in stored})
        lanes = asyncio.Semaphore(_AT_ONCE)

        async def one(place: int) -> None:
            async with lanes:
                told[place] = await self._link(wanted[place], rows[place][1], todo[place], order)

        # Every one ends before any trouble is told: nothing of this call goes on behind the next one.
        left = [place for place in todo if place not in told]
        for trouble in await asyncio.gather(*map(one, left), return_exceptions=True):
            if trouble is not None:
                raise trouble

    async def _link(self, grant: NewGrant, enrolment: Enrolment, fate: Fate, order: Order) -> Told:
        """Take one over as the app's own call would."""
        try:
            linked = await self._ports.users.link(
                grant, enrolment.profile, replace=fate is Fate.REPLACED and order.replace
            )
            if linked is None:
                require_live(await self._ports.grants.load(grant.key))
                raise GrantLive(_LIVE)
        except StorageUnavailable:
            raise
        except BrokerError as wrong:
            return Told(Fate.REJECTED, wrong)
        await announce(self._ports, linked)
        return Told(fate)


_LIVE = "The user has a live pair and this one is newer: --replace puts it in its place."


def fate_of(grant: NewGrant, held: HeldPair | None, *, replace: bool) -> Told:
    """Decide what a pair is to the one that is held: IMPORTED and REPLACED are still to be done.

    Of two pairs the one that was issued later is the one that works.
    """
    if held is None:
        return Told(Fate.IMPORTED)
    same = held.upstream_id == grant.upstream_id
    newer = not held.known and (held.issued_at < grant.pair.issued_at or not same)
    if held.state is GrantState.DEAD:
        return Told(Fate.IMPORTED) if newer else Told(Fate.REJECTED, GrantDead(_DEAD))
    if not same:
        return Told(Fate.REJECTED, Conflict("The user is held already, as another upstream user."))
    if not newer:
        return Told(Fate.ALREADY)
    if held.state is GrantState.PAUSED:
        return Told(Fate.REJECTED, GrantPaused())
    return Told(Fate.REPLACED) if replace else Told(Fate.REJECTED, GrantLive(_LIVE))


_DEAD = "The user's grant is dead, and this pair is no newer than the one that died: recover the user."
