"""Tells of refused tokens, and notices those that may be in wrong hands: a reason to tell, never to refuse.

Used after a revoke, far behind the current one, or from many addresses. Told behind the callers,
so that nobody's answer takes longer for it. Keeps what names a token in the lineage, never the token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from service.broker.asking import Asking, begin, who_asks
from service.broker.errors import StorageUnavailable
from service.broker.model import LineageEntry, UserKey
from service.broker.ports import Clock, GrantStore, Observer

FAR_BEHIND = 3
"""A token with more newer ones than this is far behind: a page that was open is not, for hours."""
MOST_ADDRESSES = 8
"""One token serves a person's devices, each of them with a few addresses as it moves between networks."""
_HOUR = timedelta(hours=1)
_MOST_TOKENS = 20_000
_MOST_WAITING = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")
NOBODY = UserKey("", "")
"""Whose a token is that is not known."""
Token = tuple[UserKey, int]
"""Whose token, of which generation."""


class Kind(StrEnum):
    """What was noticed: the label of `token_reuse_total`."""

    REVOKED = "revoked"
    FAR_BEHIND = "far_behind"
    MANY_ADDRESSES = "many_addresses"


@dataclass(slots=True)
class _Noticed:
    asking: Asking | None
    """The first who asked so: the line in the log carries that request's id."""
    times: int = 0
    facts: dict[str, int] = field(default_factory=dict)


class Addresses:
    """From how many addresses a token came within the last hour; of the tokens asked about last."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._most_tokens = most_tokens
        self._seen: OrderedDict[Token, tuple[tuple[Hashable, datetime], ...]] = OrderedDict()
        """Each address with when it was last seen, the last one last: most tokens come once, from one."""

    def count(self, token: Token, address: Hashable, now: datetime) -> int:
        """Return how many, this one included; counts no further than one more than there may be."""
        seen = self._seen.pop(token, ())
        seen = (*[one for one in seen if one[0] != address], (address, now)) if seen else ((address, now),)
        if len(seen) > MOST_ADDRESSES:
            lately = [one for one in seen if now - one[1] < _HOUR]
            seen = tuple(lately[-MOST_ADDRESSES - 1 :])
        self._seen[token] = seen
        if len(self._seen) > self._most_tokens:
            self._seen.popitem(last=False)
        return len(seen)


class Reuses:
    """Collects what is noticed, and tells the observer, who has it logged, counted and kept."""

    def __init__(self, store: GrantStore, observer: Observer, clock: Clock) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._addresses = Addresses()
        self._refused: list[tuple[LineageEntry, str, Asking | None]] = []
        self._suspects: dict[Token, Asking | None] = {}
        self._judged: OrderedDict[Token, int] = OrderedDict()
        self._noticed: dict[tuple[Token, Kind], _Noticed] = {}

    def note_refused(self, entry: LineageEntry, reason: str) -> None:
        """Take in that a token was refused. It is told later: some lines take longer to write than others."""
        if len(self._refused) < _MOST_WAITING:
            self._refused.append((entry, reason, who_asks()))

    def look_at(
        self,
        entry: LineageEntry,
        generation: int,
        address: Hashable | None,
        now: datetime | None = None,
        asking: Asking | None = None,
    ) -> None:
        """Look at a token that counts, while `generation` is current: where it comes from, how old it is.

        `now` is when, and `asking` who asked, where this does not run in the request's own context.
        """
        token, asking = (entry.key, entry.generation), asking or who_asks()
        now = now or self._clock()
        if address is not None and self._addresses.count(token, address, now) > MOST_ADDRESSES:
            self._notice(token, Kind.MANY_ADDRESSES, asking, addresses=MOST_ADDRESSES + 1)
        if entry.generation < generation and self._judged.get(token) != generation:
            _remember(self._judged, token, generation)
            if len(self._suspects) < _MOST_WAITING:
                self._suspects[token] = asking

    async def flush(self) -> None:
        """Tell of what was noticed; what cannot be judged now is kept for the next time."""
        self._sort_out()
        self._tell()
        await self._judge()
        self._tell()

    def _notice(self, token: Token, kind: Kind, asking: Asking | None, **facts: int) -> None:
        if len(self._noticed) < _MOST_WAITING:
            noticed = self._noticed.setdefault((token, kind), _Noticed(asking, facts=facts))
            noticed.times += 1

    def _sort_out(self) -> None:
        """Tell of each refusal, and notice those that are more than that."""
        refused, self._refused = self._refused, []
        for entry, reason, asking in refused:
            key = None if entry.key is NOBODY else entry.key
            self._say(asking, "refresh.refused", key, reason=reason)
            if reason == "revoked":
                self._notice((entry.key, entry.generation), Kind.REVOKED, asking)

    async def _judge(self) -> None:
        """Notice those that are far behind: generations do not say how many lie between them."""
        suspects, self._suspects = self._suspects, {}
        if not suspects:
            return
        try:
            distances = await self._store.behind(list(suspects))
        except StorageUnavailable:
            self._suspects = suspects | self._suspects
            raise
        for (token, asking), distance in zip(suspects.items(), distances, strict=True):
            if distance > FAR_BEHIND:
                self._notice(token, Kind.FAR_BEHIND, asking, behind=distance)

    def _tell(self) -> None:
        """Tell of each token once, however often it came, in the name of the first such request."""
        noticed, self._noticed = self._noticed, {}
        for (token, kind), one in noticed.items():
            (key, generation), facts = token, one.facts
            told = {"kind": kind, "generation": generation, "times": one.times, **facts}
            self._say(one.asking, "token.reuse", key, **told)

    def _say(self, asking: Asking | None, event: str, key: UserKey | None, **facts: object) -> None:
        """Tell in the name of who asked: the audit looks there, and the line has the request's id."""
        if asking is not None:
            facts["request_id"] = asking.request_id
        copy_context().run(self._in_name_of, asking, event, key, facts)

    def _in_name_of(
        self, asking: Asking | None, event: str, key: UserKey | None, facts: dict[str, object]
    ) -> None:
        begin(asking)
        self._observer.note(event, key, **facts)


def _remember(known: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > _MOST_TOKENS:
        known.popitem(last=False)
