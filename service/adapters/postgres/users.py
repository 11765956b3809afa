"""The port UserStore over PostgreSQL: intents, first and replacing pairs, profiles, forgetting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg

from service.adapters.postgres.database import replanned
from service.adapters.postgres.events import (
    NOTE,
    NOTE_CHANGED,
    WRITTEN_MEANWHILE,
    facts_of,
    forget_who,
    request_of,
)
from service.adapters.postgres.first_pairs import FirstPairs
from service.adapters.postgres.rows import GRANT_COLUMNS, USER_COLUMNS, Row, Rows, stored
from service.adapters.postgres.settlements import next_generation
from service.adapters.postgres.telling import tell_recovered
from service.broker.errors import Conflict
from service.broker.model import GrantState, Intent, Profile, User, UserKey

if TYPE_CHECKING:
    from service.adapters.postgres.database import Connection, Database
    from service.broker.ports import Fingerprints, NewGrant, UserQuery

_SELECT = f"""
    SELECT {USER_COLUMNS}, {GRANT_COLUMNS}, clock_timestamp() AS now
    FROM users u LEFT JOIN grants g USING (client, user_id)
"""  # noqa: S608 - constants

_LIST = f"""
    {_SELECT}
    WHERE u.client = $1 AND u.user_id > coalesce($2, '') AND u.upstream_id IS NOT NULL
      AND ($3::text IS NULL OR g.state = $3) AND ($4::text IS NULL OR u.upstream_id = $4)
      AND ($5::text IS NULL OR u.email = $5)
    ORDER BY u.user_id LIMIT $6
"""

_TAKE_INTENT = """
    UPDATE users SET intent_owner = $3, intent_epoch = intent_epoch + 1, intent_at = clock_timestamp(),
        intent_begun_at = coalesce(intent_begun_at, clock_timestamp()),
        intent_attempts = CASE WHEN intent_begun_at IS NULL THEN 0 ELSE intent_attempts END,
        profile = $4, email = $5
    WHERE client = $1 AND user_id = $2
"""

_ATTEMPT = """
    UPDATE users SET intent_attempts = intent_attempts + 1, intent_uncertain = true,
        intent_at = clock_timestamp()
    WHERE client = $1 AND user_id = $2 AND intent_owner = $3 AND intent_epoch = $4
    RETURNING intent_begun_at, intent_owner, intent_epoch, intent_attempts, intent_uncertain
"""

_ABANDON = """
    UPDATE users SET intent_owner = NULL, intent_uncertain = $5,
        intent_begun_at = CASE WHEN $5 THEN intent_begun_at END
    WHERE client = $1 AND user_id = $2 AND intent_owner = $3 AND intent_epoch = $4
"""

_DROP_UNLINKED = """
    DELETE FROM users u WHERE client = $1 AND user_id = $2 AND upstream_id IS NULL AND intent_begun_at IS NULL
      AND NOT EXISTS (SELECT FROM grants g WHERE g.client = u.client AND g.user_id = u.user_id)
"""

# Of two first pairs at once the second waits here for the first, and then sees it.
_PLACE = """
    INSERT INTO users (client, user_id, created_at, vouched_at)
    VALUES ($1, $2, clock_timestamp(), to_timestamp(0)) ON CONFLICT (client, user_id) DO NOTHING
"""

_LOCK = "SELECT FROM users WHERE client = $1 AND user_id = $2 FOR UPDATE"

_LINK_USER = """
    INSERT INTO users (client, user_id, upstream_id, email, profile, created_at, vouched_at)
    VALUES ($1, $2, $3, $4, coalesce($5, '{}')::jsonb, $6, CASE WHEN $7 THEN $6 ELSE to_timestamp(0) END)
    ON CONFLICT (client, user_id) DO UPDATE SET upstream_id = $3, email = coalesce($4, users.email),
        profile = coalesce($5::jsonb, users.profile), intent_owner = NULL,
        vouched_at = CASE WHEN $7 THEN $6 ELSE users.vouched_at END,
        intent_begun_at = NULL, intent_at = NULL, intent_attempts = 0, intent_uncertain = false
"""

_LINK_GRANT = """
    INSERT INTO grants AS g (client, user_id, upstream_id, state, reason, generation, key_id, access_sealed,
        refresh_sealed, issued_at, expires_at, refresh_at, refresh_token_expires_at, due_at, distrusted_until)
    VALUES ($1, $2, $3, 'LIVE', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (client, user_id) DO UPDATE SET upstream_id = $3, state = 'LIVE', reason = $4,
        generation = $5, key_id = $6, access_sealed = $7, refresh_sealed = $8, issued_at = $9,
        expires_at = $10, refresh_at = $11, refresh_token_expires_at = $12, due_at = $13,
        distrusted_until = greatest(g.distrusted_until, $14), first_used_at = NULL, claim_owner = NULL,
        claim_kind = NULL, claimed_at = NULL, refused = false, refresh_token_dead = false,
        force_pending = false, failures = 0, retry_at = NULL
"""

_LINEAGE = """
    INSERT INTO lineage (fingerprint, key_id, client, user_id, generation, counts_until)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (fingerprint, counts_until) DO UPDATE SET generation = excluded.generation,
        client = excluded.client, user_id = excluded.user_id
"""

_EVENT = f"{NOTE} VALUES ($1, $2, clock_timestamp(), 'act', $3, $4, NULL, NULL, $5, $6)"


class PostgresUsers:
    """The app's users."""

    def __init__(
        self,
        database: Database,
        rows: Rows,
        fingerprints: Fingerprints,
        *,
        claim_deadline: timedelta,
        distrust_window: timedelta,
    ) -> None:
        self._database = database
        self._rows = rows
        self._fingerprints = fingerprints
        self._together = FirstPairs(database, rows, fingerprints)
        self.held, self.link_new = self._together.held, self._together.link_new
        self._deadline = claim_deadline
        self._window = distrust_window

    async def load_user(self, key: UserKey) -> User | None:
        """Return the user with its intent and its grant (tokens left sealed), or None."""
        async with self._database.connection() as connection:
            row = await _row(connection, key)
        return None if row is None else self._rows.user(row, with_tokens=False)

    async def list_users(self, query: UserQuery) -> list[User]:
        """Return one page of linked users in the order of their ids, tokens left sealed."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _LIST, query.client, query.cursor, query.state, query.upstream_id, query.email, query.limit
            )
        return [self._rows.user(row, with_tokens=False) for row in rows]

    @replanned
    async def begin_create(self, key: UserKey, profile: Profile, owner: str) -> User:
        """Write or take over the intent row; see the port."""
        async with self._writing() as connection:
            row = await _placed(connection, key)
            user = self._rows.user(row, with_tokens=False)
            if not self._to_be_taken(row, user, owner):
                return user
            if user.intent is not None and user.profile.email != profile.email:
                raise Conflict("A user with this id is being created with another e-mail address.")
            await connection.execute(
                _TAKE_INTENT, key.client, key.user_id, owner, stored(profile), profile.email
            )
            taken = await _row(connection, key)
            assert taken is not None  # noqa: S101 - locked by this transaction
            return self._rows.user(taken, with_tokens=False)

    async def note_attempt(self, key: UserKey, intent: Intent) -> Intent | None:
        """Count a create that is about to be sent: from here on the user may exist upstream."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_ATTEMPT, key.client, key.user_id, intent.owner, intent.epoch)
        return None if row is None else Intent(*row.values())

    @replanned
    async def abandon_create(self, key: UserKey, intent: Intent, *, uncertain: bool) -> None:
        """Give the intent up: keep the row when the create may have been carried out, else drop it."""
        async with self._writing() as connection:
            await connection.execute(_ABANDON, key.client, key.user_id, intent.owner, intent.epoch, uncertain)
            if not uncertain:
                await connection.execute(_DROP_UNLINKED, key.client, key.user_id)

    @replanned
    async def link(self, grant: NewGrant, profile: Profile | None, *, replace: bool) -> User | None:
        """Store the pair as the user's grant, creating the user if need be; see the port."""
        try:
            return await self._link(grant, profile, replace=replace)
        except _NotLinked:
            return None

    async def _link(self, grant: NewGrant, profile: Profile | None, *, replace: bool) -> User:
        async with self._writing() as connection:
            row = await _placed(connection, grant.key)
            if not _may_link(row, grant, replace=replace):
                raise _NotLinked
            if row["state"] == GrantState.LIVE and not grant.over_unreadable:
                self._rows.grant(row)
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            old = row["generation"] or 0
            generation = next_generation(old, now)
            await self._write_link(connection, grant, profile, generation, now)
            if row["state"] == GrantState.DEAD or grant.event == "grant.recovered":
                await tell_recovered(connection, grant, generation)
            linked = await _row(connection, grant.key)
            assert linked is not None  # noqa: S101 - written by this transaction
            return self._rows.user(linked)

    @replanned
    async def change_profile(
        self, key: UserKey, profile: Profile, *, fields: Sequence[str], actor: str
    ) -> None:
        """Replace the stored profile; which fields changed is noted, not what they hold."""
        changed = facts_of({"fields": sorted(fields)})
        async with self._writing() as connection:
            await connection.execute(
                "UPDATE users SET profile = $3, email = $4 WHERE client = $1 AND user_id = $2",
                key.client, key.user_id, stored(profile), profile.email or None,
            )  # fmt: skip
            await connection.execute(
                NOTE_CHANGED, key.client, key.user_id, "user.changed", actor, request_of(actor), changed
            )

    @replanned
    async def forget(self, key: UserKey, *, actor: str) -> bool:
        """Delete the user, the grant and every fingerprint; that it was deleted stays among the events."""
        where = "WHERE client = $1 AND user_id = $2"
        async with self._database.connection() as connection:
            # Ahead, and not in one transaction: a long history has far more rows than that has time for.
            begun: datetime = await connection.fetchval("SELECT clock_timestamp()")
            await forget_who(connection, key)
        async with self._writing() as connection:
            # Whoever is linking or settling ends first, so that its fingerprint is there to be deleted.
            await connection.execute(f"SELECT FROM users {where} FOR UPDATE", key.client, key.user_id)
            await connection.execute(f"SELECT FROM grants {where} FOR UPDATE", key.client, key.user_id)
            await connection.execute(f"DELETE FROM lineage {where}", key.client, key.user_id)  # noqa: S608 - constant
            deleted = await connection.execute(f"DELETE FROM users {where}", key.client, key.user_id)  # noqa: S608 - constant
            await forget_who(connection, key, begun - WRITTEN_MEANWHILE)
            if deleted.endswith(" 1"):
                await self._note(connection, key, "user.deleted", None, actor)
        return bool(deleted.endswith(" 1"))

    async def _write_link(
        self, connection: Connection, grant: NewGrant, profile: Profile | None, generation: int, now: datetime
    ) -> None:
        key, pair = grant.key, grant.pair
        email, details = (profile.email or None, stored(profile)) if profile is not None else (None, None)
        await connection.execute(
            _LINK_USER, key.client, key.user_id, grant.upstream_id, email, details, now, grant.vouch
        )
        access, refresh = self._rows.sealed(key, generation, pair)
        await connection.execute(
            _LINK_GRANT, key.client, key.user_id, grant.upstream_id, grant.event, generation,
            self._rows.key_id_of(access), access, refresh, pair.issued_at, pair.expires_at, pair.refresh_at,
            pair.refresh_token_expires_at, grant.due_at, now + self._window if grant.distrust else None,
        )  # fmt: skip
        fingerprint = self._fingerprints.of(pair.access_token)[0]
        await connection.execute(
            _LINEAGE, fingerprint.digest, fingerprint.key_id, key.client, key.user_id, generation,
            grant.counts_until,
        )  # fmt: skip
        await self._note(connection, key, grant.event, generation, grant.actor)

    async def _note(
        self, connection: Connection, key: UserKey, event: str, generation: int | None, actor: str
    ) -> None:
        await connection.execute(
            _EVENT, key.client, key.user_id, event, generation, actor or None, request_of(actor)
        )

    def _to_be_taken(self, row: Row, user: User, owner: str) -> bool:
        """Whether the intent is ours for the taking: left by its owner, or the user is gone upstream."""
        if user.intent is None:
            grant = user.grant
            return grant is None or (grant.state is GrantState.DEAD and grant.reason == "user_gone")
        left = row["intent_at"] is None or row["intent_at"] <= row["now"] - self._deadline
        return left or user.intent.owner in ("", owner)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        """One transaction; another user's id or e-mail in the way is a Conflict."""
        try:
            async with self._database.connection() as connection, connection.transaction():
                yield connection
        except asyncpg.UniqueViolationError as error:
            email = "email" in (error.constraint_name or "")
            what = "The e-mail address" if email else "The upstream user"
            raise Conflict(f"{what} belongs to another user.") from None


class _NotLinked(Exception):
    """The pair is not to be stored: the transaction is rolled back."""


def _may_link(row: Row, grant: NewGrant, *, replace: bool) -> bool:
    if grant.intent is not None:
        held: tuple[Any, Any] = (row["intent_owner"], row["intent_epoch"])
        return held == (grant.intent.owner, grant.intent.epoch)
    if row["state"] == GrantState.LIVE:
        return replace
    return bool(row["state"] != GrantState.PAUSED)


async def _placed(connection: Connection, key: UserKey) -> Row:
    """Return the user's row, locked, made now if there was none."""
    while True:
        await connection.execute(_PLACE, key.client, key.user_id)
        row = await _row(connection, key, lock=True)
        if row is not None:  # else it was dropped between the two
            return row


async def _row(connection: Connection, key: UserKey, *, lock: bool = False) -> Row | None:
    """Return the user's row; with `lock` nobody else changes it before the transaction ends."""
    if lock:
        # In a statement of its own: one that waits for a lock sees the joined grant as it was before.
        await connection.execute(_LOCK, key.client, key.user_id)
    row: Row | None = await connection.fetchrow(
        f"{_SELECT} WHERE u.client = $1 AND u.user_id = $2", key.client, key.user_id
    )
    return row
