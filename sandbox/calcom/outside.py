"""Changes that no call asked for: rows seeded, expired, killed, clients reconfigured; each is journaled.

Knows the state and the journal, never HTTP.
"""

from __future__ import annotations

from sandbox.calcom.journal import Entry, Journal
from sandbox.calcom.records import Client, Pair, Token, User
from sandbox.calcom.state import State
from sandbox.calcom.users import suffixed_email, username_of

CHANGEABLE = (
    "secret", "name", "redirect_uris", "permissions", "default_event_types", "platform", "organization_id",
    "owner_id",
)  # fmt: skip


class Outside:
    """What the world does to the sandbox's rows behind the callers' backs."""

    def __init__(self, state: State, journal: Journal) -> None:
        self.state = state
        self.journal = journal

    def create_user(self, client_id: str, email: str, name: str = "Seeded user") -> tuple[User, Pair]:
        """Create a managed user with its first pair, without a call; raises UniqueViolation."""
        stored = suffixed_email(client_id, email.lower())
        user = self.state.insert_user(stored, username_of(stored))
        user.name = name
        self.state.connect(user, self.state.clients[client_id])
        pair = self.state.issue(self.state.clients[client_id], user)
        entry = self._outside("create_user", client_id, user.id)
        entry.note_pair(pair)
        self.journal.close(entry)
        return user, pair

    def purge(self, client_id: str) -> int:
        """Delete the client's expired access tokens now; returns how many."""
        entry = self._outside("purge", client_id)
        entry.purged = self.state.purge(self.state.clients[client_id])
        self._written(entry)
        return entry.purged

    def expire(self, user_id: int) -> int:
        """Let all access tokens of a user end now, rows kept (498 until purged); returns how many."""
        tokens = [self.state.access[secret] for secret in self.state.users[user_id].access_tokens]
        for token in tokens:
            self.state.expire(token)
        entry = self._outside("expire", self.state.users[user_id].client_id, user_id)
        entry.note_revoked(tuple(token.secret for token in tokens))
        self._written(entry)
        return len(tokens)

    def kill(self, access_token: str) -> bool:
        """Delete one access token, as if revoked on the vendor's side; False when there is none."""
        token = self.state.access.get(access_token)
        if token is not None:
            self.state.delete_access(access_token)
            self._note_killed(token)
        return token is not None

    def kill_refresh(self, refresh_token: str) -> bool:
        """Delete one refresh token without issuing another; False when there is none."""
        token = self.state.refresh.get(refresh_token)
        if token is not None:
            self.state.delete_refresh(refresh_token)
            self._note_killed(token)
        return token is not None

    def delete_user(self, user_id: int) -> None:
        """Delete a user and every token of it, without a call."""
        user = self.state.users[user_id]
        entry = self._outside("delete_user", user.client_id, user_id)
        entry.note_revoked(*self.state.delete_user(user))
        self._written(entry)

    def change_client(self, client_id: str, **changes: object) -> Client:
        """Change fields of an OAuth client (`secret`, `platform`, `redirect_uris`, ...) from now on."""
        client = self.state.clients[client_id]
        for name, value in changes.items():
            if name not in CHANGEABLE:
                raise ValueError(f"an OAuth client has no field {name!r}; known are {', '.join(CHANGEABLE)}")
            setattr(client, name, tuple(value) if isinstance(value, list) else value)
        self._written(self._outside("change_client", client_id))
        return client

    def rotate_secret(self, client_id: str, secret: str) -> None:
        """Give the client a new secret; the old one is refused from now on."""
        self.change_client(client_id, secret=secret)

    def _note_killed(self, token: Token) -> None:
        entry = self._outside("kill", token.client_id, token.user_id)
        entry.note_revoked((token.secret,))
        self._written(entry)

    def _outside(self, what: str, client_id: str | None, user_id: int | None = None) -> Entry:
        entry = self.journal.open(f"sandbox.{what}", "", "")
        entry.client, entry.user_id = client_id, user_id
        return entry

    def _written(self, entry: Entry) -> None:
        entry.note_commit()
        self.journal.close(entry)
