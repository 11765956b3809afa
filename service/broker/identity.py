"""Decides whose a presented access token is, and whether it still says so: bearer in, user out.

By fingerprint alone: nothing of a token is read. Where it is not known here it identifies nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from service.broker.errors import TokenUnknown
from service.broker.model import CurrentToken, GrantState, LineageEntry, Marks
from service.broker.policy import Presented, Terms, refusal_of
from service.broker.ports import Ports

NO_MARKS = Marks()


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

    def __init__(self, ports: Ports, terms: Terms) -> None:
        self._ports = ports
        self._terms = terms

    async def identify(self, access_token: str) -> Seen:
        """Return whose token this is; TokenUnknown unless it counts."""
        seen = await self.find(access_token)
        if seen is None:
            raise TokenUnknown
        self._admit(seen)
        return seen

    async def find(self, access_token: str) -> Seen | None:
        """Return whose token this is or once was, whether it counts or not; None for nobody's."""
        fingerprints = self._ports.fingerprints.of(access_token)
        hit = await self._ports.cache.find(fingerprints)
        if hit is not None and hit.presented.generation <= hit.current.generation:
            return Seen(hit.current, NO_MARKS, hit.source, hit.presented)
        found = await self._ports.grants.find(fingerprints)
        if found is None:
            return None
        entry, grant = found
        if grant.state is not GrantState.LIVE:
            return None
        if grant.marks == NO_MARKS:
            await self._ports.cache.put(grant.current(), [(fingerprints[0], entry)])
        return Seen(grant.current(), grant.marks, "postgres", entry)

    def admit_still(self, seen: Seen) -> None:
        """Ask once more after a wait, for a revoke that came meanwhile; nothing else ends what was begun."""
        revoked = seen.entry is not None and seen.entry.generation <= seen.current.not_before_generation
        if seen.bound and seen.entry is not None and revoked:
            self._refuse(seen.entry, "revoked")

    def _admit(self, seen: Seen) -> None:
        """Raise TokenUnknown unless the token presented identifies its user."""
        if seen.entry is None:
            raise TokenUnknown
        reason = refusal_of(seen.entry, seen.current, self._ports.clock(), self._terms, bound=True)
        if reason is not None:
            self._refuse(seen.entry, reason)

    def _refuse(self, entry: LineageEntry, reason: str) -> NoReturn:
        self._ports.observer.note("refresh.refused", entry.key, reason=reason)
        if reason == "revoked":
            self._ports.observer.note("token.reuse", entry.key, kind="revoked")
        raise TokenUnknown
