"""Collects what is to be kept of exchanges, refused orders and signs of misuse, and writes it behind.

Nobody waits for it: an event that repeats is counted in the row of the first, what finds no room is counted
as dropped. A crash loses what came since the last flush; never a change of a grant or an order carried out,
which are written with the change itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from random import getrandbits
from typing import NamedTuple

from service.broker.asking import Address, Asking, was_refused, who_asks
from service.broker.errors import BrokerError, Invalid
from service.broker.model import Event, EventKind, Fact, Recorded, UserKey
from service.broker.ports import Clock, EventStore, Fingerprints, Observer

TOGETHER = timedelta(minutes=5)
"""So long after the first, what is the same again is counted there; after that it begins a row of its own."""
MOST_OPEN = 10_000
MOST_OF_ONE_USER = 50
"""Rows that one user may have begun within `TOGETHER`; what comes beyond is counted without where from."""
_AT_ONCE = 500
_FINGERPRINT_BYTES = 4
_AGENT_HEX = 16

_UUID_VERSION = 0x4000_8000_0000_0000_0000
_UUID_RANDOM = ~0xF000_C000_0000_0000_0000

_KEPT = {"token.reuse": EventKind.SIGNAL, "user.vouched": EventKind.ACT}
"""Of what the observer hears about a user, this becomes an event."""
_REASONS = frozenset({"session.refused"})
"""And this says why the exchange that is going on is refused."""


_Number = tuple[int, int]
"""An address: its version and its bits."""


class _What(NamedTuple):
    """What happened to whom; who asked and when is not part of it."""

    key: UserKey
    kind: EventKind
    event: str
    outcome: str | None = None
    reason: str | None = None
    generation: int | None = None


class _Who(NamedTuple):
    """Who asked, as it was when the row began: the request may go on and learn more."""

    request_id: str
    address: str | None
    origin: str | None
    agent: str
    actor: str | None
    presented: int | None
    shown: bytes


@dataclass(slots=True, eq=False)
class _Row:
    """A row that may still count more of the same; what is to be written of it is made when it is written."""

    what: _What
    who: _Who
    facts: Mapping[str, Fact] | None
    same: Hashable
    at: datetime
    last_at: datetime
    count: int = 0
    id: str = ""

    def now(self, hashed: Callable[[str], str | None]) -> Recorded:
        """Return the row as it is to be written; `hashed` says what is kept of a user agent."""
        what, who, self.id = self.what, self.who, self.id or _new_id()
        event = Event(
            self.at,
            what.event,
            what.generation,
            what.kind,
            what.outcome,
            what.reason,
            None,
            who.presented,
            who.actor,
            who.request_id or None,
            who.address,
            who.origin,
            hashed(who.agent),
            who.shown[:_FINGERPRINT_BYTES].hex() or None,
            self.facts,
            self.count,
            self.last_at if self.count > 1 else None,
        )
        return Recorded(self.id, what.key, event)


class Audit:
    """Keeps the events of one process until they are written."""

    def __init__(
        self, store: EventStore, fingerprints: Fingerprints, clock: Clock, observer: Observer
    ) -> None:
        self._store = store
        self._fingerprints = fingerprints
        self._clock = clock
        self._observer = observer
        self._open: OrderedDict[Hashable, _Row] = OrderedDict()
        self._of_user: dict[UserKey, int] = {}
        self._unwritten: dict[_Row, None] = {}
        self._dropped = 0

    def hearing(self, observer: Observer) -> Observer:
        """Return the observer, heard here as well: who notes a sign of misuse need do nothing else."""
        return _Heard(observer, self)

    def exchanged(self, asking: Asking, event: str, outcome: str, now: datetime | None = None) -> None:
        """Keep how a user's token was asked for, and what came of it; nothing when no user is known.

        `now` is for who has read the clock already.
        """
        if asking.key is not None and asking.key.client:  # else it is what is weighed for a token of nobody
            what = _What(asking.key, EventKind.EXCHANGE, event, outcome, asking.reason, asking.generation)
            self._keep(what, asking, now=now)

    def refused(self, asking: Asking, act: str, outcome: str) -> None:
        """Keep that an order about a user was not carried out; one that was is kept with its change."""
        if asking.key is not None:
            self._keep(_What(asking.key, EventKind.ACT, "act.refused", outcome, act), asking)

    def hear(self, event: str, key: UserKey, facts: Mapping[str, object]) -> None:
        """Keep what the observer was told about a user, so many `times`, if it is of a kind that is kept."""
        kind = _KEPT.get(event)
        if kind is None:
            return
        said = {name: fact for name, fact in facts.items() if isinstance(fact, str | int | float)}
        said.pop("request_id", None)  # who asks has it, and what differs by nothing else is the same
        reason, times = said.pop("kind", None), int(said.pop("times", 1))
        asking = replace(who_asks() or Asking(""))
        asking.presented = int(said.pop("generation", 0)) or asking.presented
        what = _What(key, kind, event, reason=None if reason is None else str(reason))
        self._keep(what, asking, said or None, times)

    async def flush(self) -> int:
        """Write what came together; what cannot be written now is kept for the next time."""
        written, hashed = 0, cache(self._hashed)
        while self._unwritten:
            rows = list(islice(self._unwritten, _AT_ONCE))
            now = [row.now(hashed) for row in rows]
            await self._write(now)
            for row, one in zip(rows, now, strict=True):
                if row.count == one.event.count:
                    self._unwritten.pop(row, None)
            written += len(rows)
            if len(rows) < _AT_ONCE:
                break
        self._tell()
        return written

    async def _write(self, rows: Sequence[Recorded]) -> None:
        """Write these together; a row that the store will never take is dropped, and takes no other along."""
        try:
            await self._store.write(rows)
        except Invalid:
            if len(rows) == 1:
                self._dropped += rows[0].event.count
                return
            half = len(rows) // 2
            await self._write(rows[:half])
            await self._write(rows[half:])

    async def drain(self) -> None:
        """Write everything a last time; what then is left is lost, and said to be."""
        try:
            await self.flush()
        except BrokerError:
            self._dropped += len(self._unwritten)
            self._unwritten.clear()
            self._tell()

    def _tell(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._observer.note("events.dropped", count=dropped)

    def _keep(
        self,
        what: _What,
        asking: Asking,
        facts: Mapping[str, Fact] | None = None,
        times: int = 1,
        now: datetime | None = None,
    ) -> None:
        now = now or self._clock()
        shown = b"" if asking.fingerprint is None else asking.fingerprint.digest
        # Not by agent or request: who varies those at will would get a row for each.
        # Whom a sign names besides is part of what it says; figures are not.
        named = tuple(fact for fact in (facts or {}).values() if isinstance(fact, str))
        address = _numbered(asking.address)
        same: Hashable = (what, shown, address, asking.origin, asking.actor, asking.presented, named)
        row = self._open.get(same)
        if row is None or now - row.at >= TOGETHER:
            self._close(now)
            row = self._open.get(same)
        if row is None and self._of_user.get(what.key, 0) >= MOST_OF_ONE_USER:
            same, asking, facts = _elided(what, asking)
            row, shown, address = self._open.get(same), b"", None
        if len(self._unwritten) >= MOST_OPEN and (row is None or row not in self._unwritten):
            self._dropped += times
            return
        if row is None:
            row = self._begin(same, _Row(what, _who(asking, address, shown), facts, same, now, now))
        # What is taken in behind may be older than what was kept at once.
        row.count, row.last_at = row.count + times, max(row.last_at, now)
        self._unwritten[row] = None

    def _begin(self, same: Hashable, row: _Row) -> _Row:
        self._open[same] = row
        self._of_user[row.what.key] = self._of_user.get(row.what.key, 0) + 1
        return row

    def _hashed(self, agent: str) -> str | None:
        """Return what is kept of a user agent: agents are told apart, and none can be read."""
        return self._fingerprints.of(f"user-agent: {agent}")[0].digest.hex()[:_AGENT_HEX] if agent else None

    def _close(self, now: datetime) -> None:
        """Let rows that began too long ago count no more, and the oldest where there are too many."""
        while self._open:
            row = next(iter(self._open.values()))
            if len(self._open) < MOST_OPEN and now - row.at < TOGETHER:
                return
            del self._open[row.same]
            key = row.what.key
            self._of_user[key] -= 1
            if not self._of_user[key]:
                del self._of_user[key]


def _new_id() -> str:
    """Return a random UUID (RFC 9562, version 4) as text.

    It names a row and guards nothing: the system's own randomness, and a class for it, cost five times more.
    """
    return f"{getrandbits(128) & _UUID_RANDOM | _UUID_VERSION:032x}"


def _who(asking: Asking, address: _Number | None, shown: bytes) -> _Who:
    known = None if address is None else _text(*address)
    return _Who(asking.request_id, known, asking.origin, asking.agent, asking.actor, asking.presented, shown)


def _numbered(address: Address | None) -> _Number | None:
    """Return what is compared in an address's place: its own hash is made of text, each time."""
    return None if address is None else (address.version, int(address))


@lru_cache(maxsize=1024)
def _text(version: int, number: int) -> str:
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))  # noqa: PLR2004


def _elided(what: _What, asking: Asking) -> tuple[Hashable, Asking, Mapping[str, Fact]]:
    """Return what is left of one too many: what it was, and which of the callers, who are few."""
    return (what, asking.actor), Asking(asking.request_id, actor=asking.actor), {"elided": True}


class _Heard:
    """An observer with the audit beside it."""

    def __init__(self, observer: Observer, audit: Audit) -> None:
        self._observer = observer
        self._audit = audit

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Note an event, and keep it if it is to be kept."""
        self._observer.note(event, key, **facts)
        if event in _REASONS:
            was_refused(str(facts.get("reason", "")))
        elif key is not None and event in _KEPT:
            self._audit.hear(event, key, facts)
