"""Decides whose a presented access token is, and whether it still says so: bearer in, user out.

By fingerprint alone: nothing of a token is read. Where it is not known here it identifies nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from service.broker.asking import showed, was_refused
from service.broker.errors import TokenUnknown
from service.broker.model import (
    Binding,
    CurrentToken,
    Fingerprint,
    GrantState,
    LineageEntry,
    Marks,
    Standing,
)
from service.broker.policy import Presented, Terms, cached_until, refusal_of
from service.broker.ports import CacheHit, Ports
from service.broker.reuse import NOBODY, Reuses

NO_MARKS = Marks()
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_OF_NOBODY = (
    LineageEntry(NOBODY, 1, _LONG_AGO),
    Standing(NOBODY, GrantState.DEAD, 1, 0, Binding(_LONG_AGO)),
)
"""What is weighed for a token that is not known, as any other is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the user for this call, and where it came from."""

    current: CurrentToken
    marks: Marks
    source: str
    entry: LineageEntry | None = None
    bound: bool = False
    """Whether the token presented is all that identifies the user, so that it must still do so at the end."""

    def presented(self) -> Presented:
        """Return what the token presented is by now to its user."""
        if self.entry is None:
            return Presented.NOTHING
        same = self.entry.generation == self.current.generation
        return Presented.CURRENT if same else Presented.SUPERSEDED


class Identities:
    """Knows presented tokens by the lineage they are of."""

    def __init__(self, ports: Ports, terms: Terms, reuses: Reuses) -> None:
        self._ports = ports
        self._terms = terms
        self._reuses = reuses

    async def identify(self, access_token: str) -> Seen:
        """Return whose token this is; TokenUnknown unless it counts.

        Every refusal has asked the same, in the same order, and opened nothing: a token that once was good
        is not to be told from one that never was by the time it takes.
        """
        fingerprints = self._ports.fingerprints.of(access_token)
        hit = await self._ports.cache.find(fingerprints)
        if hit is not None and in_order(hit) and self._why_not(hit.presented, hit.current) is None:
            showed(fingerprints[0], hit.presented)
            return Seen(hit.current, NO_MARKS, hit.source, hit.presented)
        entry, standing = await self._ports.grants.find(fingerprints) or _OF_NOBODY
        showed(fingerprints[0], entry)
        reason = self._why_not(entry, standing)
        if standing.state is not GrantState.LIVE:
            reason = "unknown" if entry.key is NOBODY else standing.state.lower()
        if reason is not None:
            self._refuse(entry, reason)
        seen = await self._load(entry, fingerprints[0])
        if seen is None:
            self._refuse(entry, "gone")
        # What was loaded is younger than what was found.
        if (reason := self._why_not(entry, seen.current)) is not None:
            self._refuse(entry, reason)
        return seen

    async def whose(self, access_token: str) -> Seen | None:
        """Return whose token this is or once was, whether it counts or not; None for no LIVE grant's."""
        fingerprints = self._ports.fingerprints.of(access_token)
        hit = await self._ports.cache.find(fingerprints)
        if hit is not None and in_order(hit):
            showed(fingerprints[0], hit.presented)
            return Seen(hit.current, NO_MARKS, hit.source, hit.presented)
        found = await self._ports.grants.find(fingerprints)
        if found is None:
            return None
        showed(fingerprints[0], found[0])
        return await self._load(found[0], fingerprints[0])

    def admit_still(self, seen: Seen) -> None:
        """Ask once more after a wait, for a revoke that came meanwhile; nothing else ends what was begun."""
        entry = seen.entry
        if seen.bound and entry is not None and entry.generation <= seen.current.not_before_generation:
            self._refuse(entry, "revoked")

    async def _load(self, entry: LineageEntry, fingerprint: Fingerprint) -> Seen | None:
        """Return the grant this entry is of, if it is LIVE; a cache remembers the token while it counts."""
        grant = await self._ports.grants.load(entry.key)
        if grant is None or grant.state is not GrantState.LIVE:
            return None
        current = grant.current()
        if grant.marks == NO_MARKS:
            until = cached_until(entry, current.binding, self._terms)
            counts = self._why_not(entry, current) is None
            known = [(fingerprint, entry._replace(counts_until=until))] if counts else []
            await self._ports.cache.put(current, known)
        return Seen(current, grant.marks, "postgres", entry)

    def _why_not(self, entry: LineageEntry, current: CurrentToken | Standing) -> str | None:
        """Return why a token of this entry does not identify its user, or None when it does."""
        return refusal_of(entry, current, self._ports.clock(), self._terms, bound=True)

    def _refuse(self, entry: LineageEntry, reason: str) -> NoReturn:
        was_refused(reason)
        self._reuses.note_refused(entry, reason)
        raise TokenUnknown


def in_order(hit: CacheHit) -> bool:
    """Whether the token presented is no newer than what is held to be current: else the cache is behind."""
    return hit.presented.generation <= hit.current.generation
