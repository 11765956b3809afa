"""A strict upstream: what Cal.com does with tokens, each call one transaction; it is never stopped or killed.

Refresh tokens work once. A refresh purges the client's expired access tokens, a force-refresh deletes
every token of the user, and access tokens end with the minute (here: a sixtieth of their life).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import floor

from service.broker.model import (
    Confirmed,
    Created,
    Denial,
    Denied,
    Done,
    Found,
    MintedPair,
    Rotated,
    Stated,
    UpstreamUser,
)
from tests.simulation.tables import NOON


@dataclass(slots=True)
class Access:
    """An access token and when it worked: from `minted_at` until `ends_at`, at the latest `expires_at`."""

    token: str
    upstream_id: str
    minted_at: float
    expires_at: float
    ends_at: float
    user_gone: bool = False


@dataclass(slots=True)
class Refreshing:
    """A refresh token that has not been used."""

    token: str
    upstream_id: str
    minted_at: float


class Upstream:
    """Every token ever minted; `clock` gives true seconds, `offset_s` is by how much its own clock is off."""

    def __init__(self, clock, *, lifetime_s, offset_s=0.0, lag_s=0.0, states_end=True):
        self.clock = clock
        self.lifetime_s = lifetime_s
        self.offset_s = offset_s
        self.lag_s = lag_s
        self.states_end = states_end
        self.users = {}
        self.minted = {}
        self._live = {}
        self._refreshing = {}
        self._numbers = 0

    def refresh(self, token):
        held = self._refreshing.get(token)
        if held is None or self._unseen(held):
            return Denied(Denial.REFRESH_TOKEN_DEAD)
        del self._refreshing[token]
        self._purge()
        return Rotated(self._mint(held.upstream_id))

    def recover(self, upstream_id):
        if upstream_id not in self.users:
            return Denied(Denial.USER_GONE)
        self._delete_tokens(upstream_id)
        return Rotated(self._mint(upstream_id))

    def check(self, token):
        held = self._live.get(token)
        refused = held is None or held.ends_at <= self.clock() or self._unseen(held)
        return Denied(Denial.TOKEN_REFUSED) if refused else Confirmed()

    def probe(self):
        return Confirmed()

    def create(self, email):
        if any(user.email == email for user in self.users.values()):
            return Denied(Denial.EXISTS)
        self._numbers += 1
        user = UpstreamUser(str(1000 + self._numbers), email, self._instant(self.clock()))
        self.users[user.upstream_id] = user
        return Created(user, self._mint(user.upstream_id))

    def find(self, email):
        return Found(tuple(user for user in self.users.values() if user.email == email))

    def read(self, upstream_id):
        user = self.users.get(upstream_id)
        return Found((user,)) if user else Denied(Denial.USER_GONE)

    def delete(self, upstream_id):
        if self.users.pop(upstream_id, None) is None:
            return Denied(Denial.USER_GONE)
        for held in self.minted.values():
            held.user_gone = held.user_gone or held.upstream_id == upstream_id
        self._delete_tokens(upstream_id)
        return Done()

    def accepts(self, token):
        """Whether the token works at this instant."""
        held = self._live.get(token)
        return held is not None and held.ends_at > self.clock()

    def takes(self, refresh_token):
        """Whether the refresh token has not been used or deleted."""
        return refresh_token in self._refreshing

    def _unseen(self, held):
        """Whether the replica that is read from has not heard of it yet."""
        return self.clock() < held.minted_at + self.lag_s

    def _mint(self, upstream_id):
        now = self.clock()
        self._numbers += 1
        expires_at = self._end(now)
        access = Access(f"a{self._numbers}.{upstream_id}", upstream_id, now, expires_at, expires_at)
        refreshing = Refreshing(f"r{self._numbers}.{upstream_id}", upstream_id, now)
        self.minted[access.token] = self._live[access.token] = access
        self._refreshing[refreshing.token] = refreshing
        stated = Stated(
            owner_id=upstream_id,
            issued_at=self._instant(floor(now + self.offset_s) - self.offset_s),
            ends_at=self._instant(access.ends_at) if self.states_end else None,
        )
        return MintedPair(access.token, refreshing.token, stated)

    def _end(self, now):
        step = self.lifetime_s / 60
        return floor((now + self.offset_s + self.lifetime_s) / step) * step - self.offset_s

    def _instant(self, seconds):
        return NOON + timedelta(seconds=seconds + self.offset_s)

    def _purge(self):
        now = self.clock()
        for token in [token for token, held in self._live.items() if held.ends_at <= now]:
            del self._live[token]

    def _delete_tokens(self, upstream_id):
        now = self.clock()
        for token in [token for token, held in self._live.items() if held.upstream_id == upstream_id]:
            held = self._live.pop(token)
            held.ends_at = min(held.ends_at, now)
        for token in [token for token, held in self._refreshing.items() if held.upstream_id == upstream_id]:
            del self._refreshing[token]
