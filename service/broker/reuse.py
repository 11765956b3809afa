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

_NOWHERE: tuple[tuple[Hashable, datetime], ...] = ()
_NEVER = (-1, _NOWHERE)
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


class Tokens:
    """What is known of the tokens presented last: from where they came, and when they were judged."""

    def __init__(self, most: int = _MOST_TOKENS) -> None:
        self._most = most
        self._known: OrderedDict[Token, tuple[int, tuple[tuple[Hashable, datetime], ...]]] = OrderedDict()
        """The generation that was current, and each address with when it was last seen, the last one last."""

    def note(self, token: Token, current: int, address: Hashable | None, now: datetime) -> tuple[int, bool]:
        """Return from how many addresses a token came, and whether it comes first while this is current.

        Of the last hour, this one included; counts no further than one more than there may be.
        """
        before, seen = self._known.pop(token, _NEVER)
        if not seen:
            seen = _NOWHERE if address is None else ((address, now),)  # most tokens come once
        elif address is not None:
            seen = (*[one for one in seen if one[0] != address], (address, now))
        if len(seen) > MOST_ADDRESSES:
            seen = tuple([one for one in seen if now - one[1] < _HOUR][-MOST_ADDRESSES - 1 :])
        self._known[token] = (current, seen)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return len(seen), before != current


class Reuses:
    """Collects what is noticed, and tells the observer, who has it logged, counted and kept."""

    def __init__(self, store: GrantStore, observer: Observer, clock: Clock) -> None:
        self._store = store
        self._observer = observer
        self._clock = clock
        self._tokens = Tokens()
        self._refused: list[tuple[LineageEntry, str, Asking | None]] = []
        self._suspects: list[tuple[Token, Asking | None]] = []
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
        addresses, first = self._tokens.note(token, generation, address, now or self._clock())
        if address is not None and addresses > MOST_ADDRESSES:
            self._notice(token, Kind.MANY_ADDRESSES, asking, addresses=MOST_ADDRESSES + 1)
        if first and entry.generation < generation and len(self._suspects) < _MOST_WAITING:
            self._suspects.append((token, asking))

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
        suspects, self._suspects = self._suspects, []
        if not suspects:
            return
        try:
            distances = await self._store.behind([token for token, _ in suspects])
        except StorageUnavailable:
            self._suspects[:0] = suspects
            raise
        for (token, asking), distance in zip(suspects, distances, strict=True):
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
