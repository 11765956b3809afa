"""The sandbox's database: which rows exist, and what one transaction does to them.

Each method is one transaction: it runs without awaiting, so nothing can come between. Knows nothing of
HTTP; never imports the doors.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable

from sandbox.calcom.config import SandboxConfig
from sandbox.calcom.jwt import sign
from sandbox.calcom.records import Client, Pair, Token, User

FIRST_OWNER_ID = 11
FIRST_ORGANIZATION_ID = 101
FIRST_USER_ID = 1001
FIRST_SCHEDULE_ID = 5001
DELETED_ROWS_KEPT = 20_000


class UniqueViolation(Exception):
    """A unique column already holds the value."""


class RecordMissing(Exception):
    """The row to be deleted is gone."""


class State:
    """All rows, in memory. Instants are epoch milliseconds of the sandbox's own clock."""

    def __init__(self, config: SandboxConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._random = random.Random(f"tokens-{config.seed}")  # noqa: S311 - repeatable runs, no secrecy
        self._key = self._random.randbytes(32)
        self._user_ids = itertools.count(FIRST_USER_ID)
        self._schedule_ids = itertools.count(FIRST_SCHEDULE_ID)
        self.clients: dict[str, Client] = {}
        self.users: dict[int, User] = {}
        self.emails: dict[str, int] = {}
        self.access: dict[str, Token] = {}
        self.refresh: dict[str, Token] = {}
        self.deleted: OrderedDict[str, Token] = OrderedDict()
        self.redis_warm = config.redis_warm
        self._codes: dict[str, tuple[str, int]] = {}
        for index, given in enumerate(config.clients):
            self._add_client(Client.from_config(given, FIRST_ORGANIZATION_ID + index, FIRST_OWNER_ID + index))

    def now_ms(self) -> int:
        """Return the sandbox's clock in epoch milliseconds."""
        return int(self._clock() * 1000)

    def _add_client(self, client: Client) -> None:
        self.clients[client.id] = client
        if client.owner_id is not None:
            email = f"owner-{client.owner_id}@example.com"
            owner = User(client.owner_id, email, f"owner-{client.owner_id}", self.now_ms(), managed=False)
            owner.organization_id = client.organization_id
            self.users[owner.id] = owner
            self.emails[email] = owner.id

    # Users

    def insert_user(self, email: str, username: str) -> User:
        """Write a user row that no client owns yet; raises UniqueViolation on a known e-mail."""
        if email in self.emails:
            raise UniqueViolation(email)
        user = User(next(self._user_ids), email, username, self.now_ms())
        self.users[user.id] = user
        self.emails[email] = user.id
        return user

    def connect(self, user: User, client: Client) -> None:
        """Make the user one of the client's."""
        user.client_id = client.id
        user.organization_id = client.organization_id
        client.user_ids[user.id] = None

    def add_schedule(self, user: User) -> None:
        """Give the user a default schedule."""
        user.default_schedule_id = next(self._schedule_ids)
        user.schedules += 1

    def change_email(self, user: User, email: str) -> None:
        """Rename the user row; raises UniqueViolation when another user has the e-mail."""
        if self.emails.get(email, user.id) != user.id:
            raise UniqueViolation(email)
        del self.emails[user.email]
        user.email = email
        self.emails[email] = user.id

    def managed_user(self, client: Client, user_id: int) -> User | None:
        """Return the client's managed user of this id."""
        return self.users[user_id] if user_id in client.user_ids else None

    def delete_user(self, user: User) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Delete the user and, with it, every token; returns the access and refresh tokens deleted."""
        gone = self._delete_all(user)
        del self.users[user.id]
        del self.emails[user.email]
        if user.client_id is not None:
            del self.clients[user.client_id].user_ids[user.id]
        return gone

    # Tokens

    def issue(
        self, client: Client, user: User, *, user_claim: bool = False, claimed: int | None = None
    ) -> Pair:
        """Insert a new pair; raises RecordMissing without the user.

        `user_claim` adds userId to the claims; `claimed` makes them state another owner.
        """
        if user.id not in self.users:
            raise RecordMissing("user")
        now = self.now_ms()
        owner_id = user.id if claimed is None else claimed
        claims = {"clientId": client.id, "ownerId": owner_id}
        if user_claim:
            claims["userId"] = owner_id
        access = self._mint("access_token", claims, user, self._expiry(now, self._config.lifetime_s, 60))
        refresh = self._mint(
            "refresh_token", claims, user, self._expiry(now, self._config.refresh_lifetime_s, 365)
        )
        self.access[access.secret] = access
        self.refresh[refresh.secret] = refresh
        user.access_tokens.add(access.secret)
        user.refresh_tokens.add(refresh.secret)
        heapq.heappush(client.expiries, (access.expires_ms, access.secret))
        return Pair(access, refresh)

    def rotate(self, client: Client, used: Token, *, claimed: int | None = None) -> Pair:
        """Purge the client's expired access tokens, delete the used refresh token, insert a new pair.

        Raises RecordMissing, with nothing written, when the used token is already gone.
        """
        if used.secret not in self.refresh:
            raise RecordMissing("refresh token")
        purged = self.purge(client)
        self.delete_refresh(used.secret)
        pair = self.issue(client, self.users[used.user_id], user_claim=True, claimed=claimed)
        return Pair(pair.access, pair.refresh, purged=purged)

    def replace_all(self, client: Client, user: User, *, claimed: int | None = None) -> Pair:
        """Delete every token of the user and insert a new pair (a force-refresh)."""
        access, refresh = self._delete_all(user)
        pair = self.issue(client, user, claimed=claimed)
        return Pair(pair.access, pair.refresh, revoked_access=access, revoked_refresh=refresh)

    def purge(self, client: Client) -> int:
        """Delete the client's expired access tokens, of all its users; returns how many."""
        now, purged = self.now_ms(), 0
        while client.expiries and client.expiries[0][0] <= now:
            _, secret = heapq.heappop(client.expiries)
            token = self.access.get(secret)
            if token is not None and token.expires_ms <= now:
                self.delete_access(secret)
                purged += 1
        return purged

    def expire(self, token: Token) -> None:
        """Let an access token end now; its row stays until the next purge."""
        token.expires_ms = min(token.expires_ms, self.now_ms() - 1)
        heapq.heappush(self.clients[token.client_id].expiries, (token.expires_ms, token.secret))

    def delete_access(self, secret: str) -> None:
        """Delete one access token."""
        token = self.access.pop(secret)
        self.users[token.user_id].access_tokens.discard(secret)
        self._bury([token])

    def find_access(self, secret: str, lag_ms: float = 0) -> Token | None:
        """Return the access token as a reader `lag_ms` behind sees it."""
        return self._seen(self.access.get(secret), secret, lag_ms)

    def find_refresh(self, client: Client, secret: str, lag_ms: float = 0) -> Token | None:
        """Return the client's refresh token as a reader `lag_ms` behind sees it."""
        token = self._seen(self.refresh.get(secret), secret, lag_ms)
        return token if token is not None and token.client_id == client.id else None

    def trace(self, secret: str) -> Token | None:
        """Return a token of either kind, deleted ones included."""
        return self.access.get(secret) or self.refresh.get(secret) or self.deleted.get(secret)

    def is_live(self, token: Token) -> bool:
        """Whether the token's row is there and its expiry has not passed."""
        return token.deleted_ms is None and self.now_ms() <= token.expires_ms

    # Authorization codes

    def add_code(self, client: Client, user: User) -> str | None:
        """Insert an authorization code; None when the user has one for this client already."""
        if (client.id, user.id) in self._codes.values():
            return None
        code = self._jti()
        self._codes[code] = (client.id, user.id)
        return code

    def take_code(self, client: Client, code: str) -> User | None:
        """Use up a code of the client and return its user."""
        client_id, user_id = self._codes.get(code, ("", 0))
        if client_id != client.id:
            return None
        del self._codes[code]
        return self.users.get(user_id)

    def _seen(self, token: Token | None, secret: str, lag_ms: float) -> Token | None:
        if not lag_ms:
            return token
        horizon = self.now_ms() - lag_ms
        row = token or self.deleted.get(secret)
        if row is None or row.created_ms > horizon:
            return None
        return row if row.deleted_ms is None or row.deleted_ms > horizon else None

    def delete_refresh(self, secret: str) -> None:
        """Delete one refresh token."""
        token = self.refresh.pop(secret)
        self.users[token.user_id].refresh_tokens.discard(secret)
        self._bury([token])

    def _delete_all(self, user: User) -> tuple[tuple[str, ...], tuple[str, ...]]:
        gone = tuple(sorted(user.access_tokens)), tuple(sorted(user.refresh_tokens))
        self._bury(self.access.pop(secret) for secret in gone[0])
        self._bury(self.refresh.pop(secret) for secret in gone[1])
        user.access_tokens.clear()
        user.refresh_tokens.clear()
        return gone

    def _bury(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            token.deleted_ms = self.now_ms()
            self.deleted[token.secret] = token
        while len(self.deleted) > DELETED_ROWS_KEPT:
            self.deleted.popitem(last=False)

    def _expiry(self, now_ms: int, lifetime_s: float, parts: int) -> int:
        step = max(1, round(lifetime_s * 1000 / parts))
        return int(now_ms + lifetime_s * 1000) // step * step

    def _mint(self, kind: str, claims: dict[str, object], user: User, expires_ms: int) -> Token:
        now = self.now_ms()
        stated = {"type": kind, **claims, "expiresAt": expires_ms, "iat": now // 1000, "jti": self._jti()}
        client_id = str(claims["clientId"])
        return Token(sign(stated, self._key), client_id, user.id, now, expires_ms)

    def _jti(self) -> str:
        return f"{self._random.getrandbits(128):032x}"
