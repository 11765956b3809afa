"""The journal: one JSON object for every call that reached the sandbox, and for every change from outside.

A line is written when its call ends; a program of its own can count rotations, double spends and
overlaps from it. Keys, all always present:

  seq            position in the journal, from 1 upwards without gaps
  call           order of arrival, from 1 upwards; a call that never ends has no line
  duplicate_of   the `call` of which this is the second or late execution, else null; the first line of a
                 late one (`zombie`) executed nothing
  started_ms, ended_ms    wall clock, epoch milliseconds (float)
  client         OAuth client id named by the path, the header or the token, else null
  route          create list read change delete force refresh authorize exchange provider check me
                 change_me unknown preflight; for changes from outside `sandbox.<what>`
  method, path   as received (path without query)
  status, code   of the answer that was made; null when the call was dropped before one was made
  answered       false when the connection was closed without that answer
  user_id        whom it was about, as far as was known
  bearer         identifier of the access token presented as Bearer
  presented      identifier of the refresh token presented (refresh route only)
  known          whether the read of that refresh token found it
  consumed       identifier of the refresh token this call's transaction deleted as used
  issued_access, issued_refresh    identifiers of the tokens this call issued
  expires_ms     when the issued access token ends
  purged         expired access tokens of the client deleted by this call
  revoked_access, revoked_refresh  identifiers of tokens deleted by force-refresh, deletion or from outside;
                 `sandbox.expire` names those it ended, whose rows stay
  committed      whether anything was written, and `committed_ms`, the instant of the last write
  faults         the kinds of the faults this call drew
  tokens         null; with `journal_tokens` the raw tokens under the keys above

An identifier is the first 16 hex characters of the token's SHA-256. Never imports the doors.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import orjson

from sandbox.calcom.jwt import identifier
from sandbox.calcom.records import Pair
from sandbox.calcom.tally import Tally


def wall_ms() -> float:
    """Return the wall clock in epoch milliseconds, with microseconds kept."""
    return round(time.time() * 1000, 3)


@dataclass(slots=True)
class Entry:
    """One line of the journal; the module's docstring explains each field."""

    call: int
    route: str
    method: str
    path: str
    started_ms: float
    client: str | None = None
    seq: int = 0
    duplicate_of: int | None = None
    ended_ms: float | None = None
    status: int | None = None
    code: str | None = None
    answered: bool = True
    user_id: int | None = None
    bearer: str | None = None
    presented: str | None = None
    known: bool | None = None
    consumed: str | None = None
    issued_access: str | None = None
    issued_refresh: str | None = None
    expires_ms: int | None = None
    purged: int = 0
    revoked_access: list[str] = field(default_factory=list)
    revoked_refresh: list[str] = field(default_factory=list)
    committed: bool = False
    committed_ms: float | None = None
    faults: list[str] = field(default_factory=list)
    tokens: dict[str, str] | None = None

    def note_token(self, key: str, token: str) -> None:
        """Set the identifier of a token, and the raw token when the journal keeps them."""
        setattr(self, key, identifier(token))
        if self.tokens is not None:
            self.tokens[key] = token

    def note_commit(self) -> None:
        """Note that something has just been written."""
        self.committed = True
        self.committed_ms = wall_ms()

    def note_pair(self, pair: Pair) -> None:
        """Note a transaction that issued a pair."""
        self.note_token("issued_access", pair.access.secret)
        self.note_token("issued_refresh", pair.refresh.secret)
        self.expires_ms = pair.access.expires_ms
        self.purged = pair.purged
        self.note_revoked(pair.revoked_access, pair.revoked_refresh)
        self.note_commit()

    def note_revoked(self, access: tuple[str, ...], refresh: tuple[str, ...] = ()) -> None:
        """Note tokens that were deleted before their time."""
        self.revoked_access = [identifier(token) for token in access]
        self.revoked_refresh = [identifier(token) for token in refresh]


class Journal:
    """The entries in memory (the newest `keep`), and in a file when there is a path."""

    def __init__(self, path: str | Path | None, keep: int, *, raw_tokens: bool = False) -> None:
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._raw_tokens = raw_tokens
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._arrived = 0
        self._seq = 0
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def open(self, route: str, method: str, path: str) -> Entry:
        """Return the entry of a call that has just arrived; it is written by `close`."""
        self._arrived += 1
        tokens: dict[str, str] | None = {} if self._raw_tokens else None
        return Entry(self._arrived, route, method, path, wall_ms(), tokens=tokens)

    def close(self, entry: Entry) -> None:
        """Write the entry: its call has ended."""
        self._seq += 1
        entry.seq = self._seq
        entry.ended_ms = wall_ms()
        self._entries.append(entry)
        if self._file is not None:
            os.write(self._file, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        self._tallies[entry.route].add()

    @property
    def calls(self) -> dict[str, int]:
        """Return how many lines each route has had, those no longer kept included."""
        return {route: tally.value for route, tally in self._tallies.items()}

    async def written(self, count: int, *, route: str, timeout_s: float = 10.0) -> None:
        """Wait until a route has had so many lines in all; raises TimeoutError."""
        await self._tallies[route].reached(count, timeout_s)

    def of(self, route: str | None = None, *, user_id: int | None = None) -> list[Entry]:
        """Return the kept entries of a route and a user, oldest first."""
        return [
            entry
            for entry in self._entries
            if (route is None or entry.route == route) and (user_id is None or entry.user_id == user_id)
        ]

    def tail(self, limit: int, *, after: int = 0) -> list[Entry]:
        """Return the oldest `limit` kept entries past `after`, or with no `after` the newest ones."""
        if not after:
            return list(self._entries)[-limit:] if limit else []
        return [entry for entry in self._entries if entry.seq > after][:limit]

    def clear(self) -> None:
        """Forget what is kept in memory; the file and the numbering go on."""
        self._entries.clear()

    def shut(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()
