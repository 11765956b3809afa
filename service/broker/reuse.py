"""Tells of refused tokens, and notices those that may be in wrong hands: a reason to tell, never to refuse.

Used after a revoke, far behind the current one, or from many addresses. Told behind the callers,
so that nobody's answer takes longer for it. Keeps what names a token in the lineage, never the token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

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
    context: Context
    """The first such request's own, so that its line in the log carries that request's id."""
    times: int = 0
    facts: dict[str, int] = field(default_factory=dict)


class Addresses:
    """From how many addresses a token came within the last hour; of the tokens asked about last."""

    def __init__(self, most_tokens: int = _MOST_TOKENS) -> None:
        self._most_tokens = most_tokens
        self._seen: OrderedDict[Token, dict[Hashable, datetime]] = OrderedDict()

    def count(self, token: Token, address: Hashable, now: datetime) -> int:
        """Return how many, this one included; counts no further than one more than there may be."""
        seen = self._seen.pop(token, None) or {}
        seen.pop(address, None)
        seen[address] = now
        if len(seen) > MOST_ADDRESSES:
            lately = [(other, at) for other, at in seen.items() if now - at < _HOUR]
            seen = dict(lately[-MOST_ADDRESSES - 1 :])
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
        self._refused: list[tuple[LineageEntry, str, Context]] = []
        self._suspects: dict[Token, Context] = {}
        self._judged: OrderedDict[Token, int] = OrderedDict()
        self._noticed: dict[tuple[Token, Kind], _Noticed] = {}

    def note_refused(self, entry: LineageEntry, reason: str) -> None:
        """Take in that a token was refused. It is told later: some lines take longer to write than others."""
        if len(self._refused) < _MOST_WAITING:
            self._refused.append((entry, reason, copy_context()))

    def look_at(self, entry: LineageEntry, generation: int, address: Hashable | None) -> None:
        """Look at a token that counts, while `generation` is current: where it comes from, how old it is."""
        token = (entry.key, entry.generation)
        if address is not None and self._addresses.count(token, address, self._clock()) > MOST_ADDRESSES:
            self._notice(token, Kind.MANY_ADDRESSES, copy_context(), addresses=MOST_ADDRESSES + 1)
        if entry.generation < generation and self._judged.get(token) != generation:
            _remember(self._judged, token, generation)
            if len(self._suspects) < _MOST_WAITING:
                self._suspects[token] = copy_context()

    async def flush(self) -> None:
        """Tell of what was noticed; what cannot be judged now is kept for the next time."""
        self._sort_out()
        self._tell()
        await self._judge()
        self._tell()

    def _notice(self, token: Token, kind: Kind, context: Context, **facts: int) -> None:
        if len(self._noticed) < _MOST_WAITING:
            noticed = self._noticed.setdefault((token, kind), _Noticed(context, facts=facts))
            noticed.times += 1

    def _sort_out(self) -> None:
        """Tell of each refusal, and notice those that are more than that."""
        refused, self._refused = self._refused, []
        for entry, reason, context in refused:
            key = None if entry.key is NOBODY else entry.key
            context.run(self._observer.note, "refresh.refused", key, reason=reason)
            if reason == "revoked":
                self._notice((entry.key, entry.generation), Kind.REVOKED, context)

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
        for (token, context), distance in zip(suspects.items(), distances, strict=True):
            if distance > FAR_BEHIND:
                self._notice(token, Kind.FAR_BEHIND, context, behind=distance)

    def _tell(self) -> None:
        """Tell of each token once, however often it came, in the context of the first such request."""
        noticed, self._noticed = self._noticed, {}
        for (token, kind), one in noticed.items():
            (key, generation), facts = token, one.facts
            told = {"kind": kind, "generation": generation, "times": one.times, **facts}
            one.context.run(self._observer.note, "token.reuse", key, **told)


def _remember(known: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MOST_TOKENS:
        known.popitem(last=False)
