"""Keeps the sandbox Cal.com's users and tokens between runs: the broker's own are worth nothing without.

Knows the sandbox's rows, not its doors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.calcom.records import Token, User
from sandbox.calcom.state import FIRST_USER_ID

if TYPE_CHECKING:
    from sandbox.calcom.records import Client
    from sandbox.calcom.state import State

_TOKEN_SETS = ("access_tokens", "refresh_tokens")
_DRAWN = ("id", "email", "username", "created_ms", "managed", "client_id", "organization_id", *_TOKEN_SETS)


def dump(state: State, client_id: str) -> bytes:
    """Return the client's users and their tokens as JSON."""
    users = [state.users[user_id] for user_id in state.clients[client_id].user_ids]
    return orjson.dumps(
        {
            "users": [{**asdict(user), **dict.fromkeys(_TOKEN_SETS)} for user in users],
            "access": _tokens_of(users, "access_tokens", state.access),
            "refresh": _tokens_of(users, "refresh_tokens", state.refresh),
        }
    )


def load(state: State, client_id: str, content: bytes) -> int:
    """Put the rows into a new state; returns how many users there are."""
    kept = orjson.loads(content)
    client = state.clients[client_id]
    users = {row["id"]: row for row in kept["users"]}
    for user_id in range(FIRST_USER_ID, max(users, default=FIRST_USER_ID - 1) + 1):
        _insert(state, client, user_id, users.get(user_id))
    for row in kept["access"]:
        token = Token(**row)
        state.access[token.secret] = token
        state.users[token.user_id].access_tokens.add(token.secret)
        client.expiries.append((token.expires_ms, token.secret))
    for row in kept["refresh"]:
        token = Token(**row)
        state.refresh[token.secret] = token
        state.users[token.user_id].refresh_tokens.add(token.secret)
    client.expiries.sort()
    return len(users)


def _tokens_of(users: Iterable[User], names: str, rows: dict[str, Token]) -> list[dict[str, Any]]:
    return [asdict(rows[secret]) for user in users for secret in sorted(getattr(user, names))]


def _insert(state: State, client: Client, user_id: int, row: dict[str, Any] | None) -> None:
    """Insert the user of this id; where there is none any more, use the id up so that it never returns."""
    if row is None:
        state.delete_user(state.insert_user(f"gone-{user_id}", f"gone-{user_id}"))
        return
    user = state.insert_user(row["email"], row["username"])
    user.created_ms = row["created_ms"]
    user.apply({name.name: row[name.name] for name in fields(User) if name.name not in _DRAWN})
    state.connect(user, client)
