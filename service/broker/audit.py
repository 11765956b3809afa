"""Collects what is to be kept of exchanges, refused orders and signs of misuse, and writes it behind.

Nobody waits for it: an event that repeats is counted in the row of the first, what finds no room is counted
as dropped. A crash loses what came since the last flush; never a change of a grant or an order carried out,
which are written with the change itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from random import getrandbits

from service.broker.asking import Asking, was_refused, who_asks
from service.broker.errors import BrokerError, Invalid
from service.broker.model import Event, EventKind, Fact, Recorded, UserKey
from service.broker.ports import Clock, EventStore, Fingerprints, Observer

TOGETHER = timedelta(minutes=5)
"""So long after the first, what is the same again is counted there; after that it begins a row of its own."""
MOST_OPEN = 10_000
MOST_OF_ONE_USER = 50
"""Rows that one user may have begun within `TOGETHER`; what comes beyond is counted without where from."""
MANY = MOST_OPEN // 4
"""When so much waits, it is written at the next look and not only once it is time."""
WRITTEN_WITHIN_S = 1.0
_AT_ONCE = 500
_FINGERPRINT_BYTES = 4
_AGENT_HEX = 16

_KEPT = {"token.reuse": EventKind.SIGNAL, "user.vouched": EventKind.ACT}
"""Of what the observer hears about a user, this becomes an event."""
_REASONS = frozenset({"session.refused"})
"""And this says why the exchange that is going on is refused."""


_What = tuple[UserKey, str, str | None, str | None, int | None]
"""Of whom what happened: the event, its outcome, why, and the generation it is about."""
_Who = tuple[int | None, str | None, str | None, str | None, bytes, tuple[str, ...]]
"""Who asked: the generation presented, actor, origin, address, fingerprint; and whom a sign names besides."""
_Same = tuple[*_What, *_Who]
"""What two events have in common that are counted as one. Plain, because one is made of each exchange."""
_ELIDED = ("elided",)


class _Row:
    """A row that may still count more of the same; what is to be written of it is made when it is written.

    By agent and request it is not told apart from others: it has those of the first.
    """

    __slots__ = ("agent", "at", "count", "facts", "id", "kind", "last_at", "request_id", "same", "waits")

    def __init__(
        self,
        id: str,  # noqa: A002 - as it is called everywhere
        kind: EventKind,
        same: _Same,
        asking: Asking,
        facts: Mapping[str, Fact] | None,
        at: datetime,
    ) -> None:
        self.id = id
        self.kind = kind
        self.same = same
        self.request_id = asking.request_id
        self.agent = asking.agent
        self.facts = facts
        self.at = self.last_at = at
        self.count = 0
        self.waits = False

    def now(self, hashed: Callable[[str], str | None]) -> Recorded:
        """Return the row as it is to be written; `hashed` says what is kept of a user agent."""
        key, event, outcome, reason, generation, presented, actor, origin, address, shown, _ = self.same
        # Made without going by their names, which takes longer than all the rest of this.
        said = tuple.__new__(
            Event,
            (
                self.at,
                event,
                generation,
                self.kind,
                outcome,
                reason,
                None,
                presented,
                actor,
                self.request_id or None,
                address,
                origin,
                hashed(self.agent),
                shown[:_FINGERPRINT_BYTES].hex() or None,
                self.facts,
                self.count,
                self.last_at if self.count > 1 else None,
                None,
            ),
        )
        return tuple.__new__(Recorded, (self.id, key, said))


class Audit:
    """Keeps the events of one process until they are written."""

    def __init__(
        self, store: EventStore, fingerprints: Fingerprints, clock: Clock, observer: Observer
    ) -> None:
        self._store = store
        self._fingerprints = fingerprints
        self._clock = clock
        self._observer = observer
        self._open: OrderedDict[_Same, _Row] = OrderedDict()
        self._of_user: dict[UserKey, int] = {}
        self._unwritten: list[_Row] = []
        self._dropped = 0
        self._ids = _new_ids()
        self._written_s = 0.0

    def hearing(self, observer: Observer) -> Observer:
        """Return the observer, heard here as well: who notes a sign of misuse need do nothing else."""
        return _Heard(observer, self)

    def exchanged(self, asking: Asking, event: str, outcome: str, now: datetime | None = None) -> None:
        """Keep how a user's token was asked for, and what came of it; nothing when no user is known.

        `now` is for who has read the clock already.
        """
        if asking.key is not None and asking.key.client:  # else it is what is weighed for a token of nobody
            what = (asking.key, event, outcome, asking.reason, asking.generation)
            self._keep(EventKind.EXCHANGE, what, asking, now or self._clock())

    def refused(self, asking: Asking, act: str, outcome: str) -> None:
        """Keep that an order about a user was not carried out; one that was is kept with its change."""
        if asking.key is not None:
            what = (asking.key, "act.refused", outcome, act, None)
            self._keep(EventKind.ACT, what, asking, self._clock())

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
        what = (key, event, None, None if reason is None else str(reason), None)
        self._keep(kind, what, asking, self._clock(), said or None, times)

    async def flush_when_due(self, now_s: float) -> int:
        """Write what came together if it is much, or time to (`now_s` of any one clock): look often."""
        if len(self._unwritten) < MANY and now_s - self._written_s < WRITTEN_WITHIN_S:
            return 0
        self._written_s = now_s
        return await self.flush()

    async def flush(self) -> int:
        """Write what came together; what cannot be written now is kept for the next time."""
        written, hashed = 0, cache(self._hashed)
        while self._unwritten:
            rows = self._take()
            try:
                await self._write([row.now(hashed) for row in rows])
            except BaseException:
                self._put_back(rows)
                raise
            written += len(rows)
            if len(rows) < _AT_ONCE:
                break
        self._tell()
        return written

    def _take(self) -> list[_Row]:
        """Take the rows that have waited longest; what is counted from now on is to be written once more."""
        rows = self._unwritten[:_AT_ONCE]
        del self._unwritten[:_AT_ONCE]
        for row in rows:
            row.waits = False
        return rows

    def _put_back(self, rows: Sequence[_Row]) -> None:
        back = [row for row in rows if not row.waits]
        for row in back:
            row.waits = True
        self._unwritten[:0] = back

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
        kind: EventKind,
        what: _What,
        asking: Asking,
        now: datetime,
        facts: Mapping[str, Fact] | None = None,
        times: int = 1,
    ) -> None:
        same = _same(what, asking, facts)
        row = self._open.get(same)
        if row is None or now - row.at >= TOGETHER:
            self._close(now)
            row = None if row is None else self._open.get(same)
        begun = 0 if row is not None else self._of_user.get(what[0], 0)
        if begun >= MOST_OF_ONE_USER:
            asking, facts = Asking(asking.request_id, actor=asking.actor), {"elided": True}
            same = _same(what, asking, facts, _ELIDED)
            row = self._open.get(same)
        if len(self._unwritten) >= MOST_OPEN and not (row and row.waits):
            self._dropped += times
            return
        if row is None:
            row = self._open[same] = _Row(next(self._ids), kind, same, asking, facts, now)
            self._of_user[what[0]] = begun + 1
        elif now > row.last_at:  # what is taken in behind may be older than what was kept at once
            row.last_at = now
        row.count += times
        if not row.waits:
            row.waits = True
            self._unwritten.append(row)

    def _hashed(self, agent: str) -> str | None:
        """Return what is kept of a user agent: agents are told apart, and none can be read."""
        return self._fingerprints.of(f"user-agent: {agent}")[0].digest.hex()[:_AGENT_HEX] if agent else None

    def _close(self, now: datetime) -> None:
        """Let rows that began too long ago count no more, and the oldest where there are too many."""
        while self._open:
            row = next(iter(self._open.values()))
            if len(self._open) < MOST_OPEN and now - row.at < TOGETHER:
                return
            same, _ = self._open.popitem(last=False)
            key = same[0]
            others = self._of_user[key] - 1
            if others:
                self._of_user[key] = others
            else:
                del self._of_user[key]


def _new_ids() -> Iterator[str]:
    """Make ids of rows: UUIDs of version 8 (RFC 9562), random where they begin and counted up from there.

    They name rows and guard nothing; one that is all random takes three times as long.
    """
    front = f"{getrandbits(48):012x}8{getrandbits(12):03x}{8 + getrandbits(2):x}"
    return (f"{front}{number:015x}" for number in count(getrandbits(56)))


def _same(
    what: _What, asking: Asking, facts: Mapping[str, Fact] | None, named: tuple[str, ...] = ()
) -> _Same:
    """Return what another one must have alike to be counted in the same row.

    Not the agent or the request: who varies those at will would get a row for each. Whom a sign names besides
    is part of what it says; figures are not.
    """
    if facts and not named:
        named = tuple([fact for fact in facts.values() if isinstance(fact, str)])
    shown = b"" if asking.fingerprint is None else asking.fingerprint.digest
    return (*what, asking.presented, asking.actor, asking.origin, asking.address, shown, named)


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
