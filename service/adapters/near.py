"""What this process remembers of the cache: answers for at most a second, and what it has had blocked.

The second absorbs stampedes and hot users without anybody having to invalidate it. Reads no clock of its
own and does no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from service.broker.model import CurrentToken, Fingerprint, LineageEntry, UserKey
from service.broker.ports import CacheHit

Presented = Iterable[tuple[Fingerprint, LineageEntry]]
Key = TypeVar("Key")
Value = TypeVar("Value")


class Bounded(OrderedDict[Key, Value]):
    """A dict of at most `most` entries: the one that was written longest ago makes room."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class _User:
    """A user's token; `life` is the same as long as there is one without a break: it ties tokens to it."""

    __slots__ = ("current", "hit", "life", "until")

    def __init__(self, current: CurrentToken, until: float, life: object) -> None:
        self.current = current
        self.until = until
        self.life = life
        self.hit: CacheHit | None = None
        """What is answered to who asks for the user, made for the first who does."""


class _Token(NamedTuple):
    entry: LineageEntry
    until: float
    life: object


class NearCache:
    """At most `most` users and as many tokens; instants are of any one monotonic clock.

    What is written goes to the end, and makes room at the beginning.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        # A plain dict that loses its first entries all the time is slow to find the first of the rest.
        self._users: OrderedDict[UserKey, _User] = OrderedDict()
        self._tokens: OrderedDict[Fingerprint, _Token] = OrderedDict()

    def find(self, fingerprint: Fingerprint, now: float) -> CacheHit | None:
        """Return what is remembered for a token."""
        token = self._tokens.get(fingerprint)
        if token is None or now >= token.until:
            return None
        user = self._users.get(token.entry.key)
        if user is None or user.life is not token.life or now >= user.until:
            return None
        return CacheHit(token.entry, user.current, "near")

    def current(self, key: UserKey, now: float) -> CacheHit | None:
        """Return what is remembered for a user; `presented` is then the current generation itself."""
        user = self._users.get(key)
        if user is None or now >= user.until:
            return None
        if user.hit is None:
            current = user.current
            user.hit = CacheHit(LineageEntry(key, current.generation, current.expires_at), current, "near")
        return user.hit

    def keep(self, current: CurrentToken, until: float, now: float) -> None:
        """Remember a user's token until an instant, unless a newer one is remembered."""
        key = current.key
        held = self._users.pop(key, None)
        if held is None or now >= held.until:
            life = object()
        elif held.current.generation > current.generation:
            self._users[key] = held
            return
        else:
            life = held.life
        self._users[key] = _User(current, until, life)
        self._make_room(now)

    def keep_token(self, fingerprint: Fingerprint, entry: LineageEntry, until: float) -> None:
        """Remember whose a token is, for as long as its user is remembered without a break."""
        user = self._users.get(entry.key)
        if user is not None:
            self._tokens.pop(fingerprint, None)
            self._tokens[fingerprint] = _Token(entry, until, user.life)
            if len(self._tokens) > self._most:
                self._tokens.popitem(last=False)

    def drop(self, key: UserKey, below: int | None = None) -> None:
        """Forget a user and its tokens; with `below`, only a generation older than that."""
        user = self._users.get(key)
        if user is not None and (below is None or user.current.generation < below):
            del self._users[key]

    def _make_room(self, now: float) -> None:
        """Let go of tokens nobody will be given, a few at a time, and of the oldest of too many."""
        for _ in range(2):
            oldest = next(iter(self._users.values()), None)
            if oldest is None or (now < oldest.until and len(self._users) <= self._most):
                return
            self._users.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Refusal:
    generation: int
    done_at: float | None = None


class Refusals:
    """Which generations this process has had blocked, until nothing older can still be on its way.

    What was asked of Redis before it carried a block out may bring the blocked answer back. A block that
    it has not carried out stays owed.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._refusals: Bounded[UserKey, _Refusal] = Bounded(most)
        self.owed: Bounded[UserKey, int] = Bounded(most)

    def refuse(self, key: UserKey, generation: int) -> int:
        """Refuse a generation and older ones from now on; returns the newest that is refused."""
        held = self._refusals.get(key)
        newest = max(generation, held.generation if held else generation)
        self._refusals[key] = _Refusal(newest)
        return newest

    def done(self, key: UserKey, generation: int, now: float) -> None:
        """Note that Redis has carried the block out."""
        if self.owed.get(key, generation + 1) <= generation:
            del self.owed[key]
        held = self._refusals.get(key)
        if held is not None and held.generation <= generation:
            self._refusals[key] = replace(held, done_at=now)

    def lift(self, key: UserKey, generation: int) -> None:
        """Stop refusing exactly this generation, not older ones."""
        held = self._refusals.get(key)
        if held is not None and held.generation == generation:
            self._refusals[key] = replace(held, generation=generation - 1)
        if self.owed.get(key) == generation:
            self.owed[key] = generation - 1

    def admits(self, key: UserKey, generation: int, asked_at: float) -> bool:
        """Whether an answer to what was asked at that instant may be believed."""
        held = self._refusals.get(key)
        if held is None or generation > held.generation:
            return True
        return held.done_at is not None and asked_at > held.done_at
