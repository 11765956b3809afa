"""The statements of the port UserStore on the simulated tables, those that creating and deleting take.

What service/adapters/postgres/users.py says in SQL, each method one transaction;
test_simulation_tables.py compares the two.
"""

from __future__ import annotations

from dataclasses import replace

from service.broker.errors import Conflict
from service.broker.model import GrantState, LineageEntry, Profile
from tests.simulation.tables import GrantRow, UserRow, latest, next_generation


class Users:
    """The app's users and their creation intents."""

    def __init__(self, tables):
        self._tables = tables

    def load_user(self, key):
        row = self._tables.users.get(key)
        return None if row is None else self._tables.user(row)

    def begin_create(self, key, profile, owner):
        tables = self._tables
        row = tables.users.get(key) or UserRow(key, Profile(email=""), tables.now())
        if not self._to_be_taken(row, owner):
            return tables.user(row)
        if row.intent_begun_at is not None and row.profile.email != profile.email:
            raise Conflict("A user with this id is being created with another e-mail address.")
        self._require_free(key, profile.email, None)
        tables.users[key] = row
        self._take_intent(row, profile, owner)
        return tables.user(row)

    def note_attempt(self, key, intent):
        row = self._held(key, intent)
        if row is None:
            return None
        row.intent_attempts += 1
        row.intent_uncertain = True
        row.intent_at = self._tables.now()
        return row.intent()

    def abandon_create(self, key, intent, uncertain):
        row = self._held(key, intent)
        if row is not None:
            row.intent_owner, row.intent_uncertain = None, uncertain
            if not uncertain:
                row.intent_begun_at = None
        row = self._tables.users.get(key)
        unlinked = row is not None and row.upstream_id is None and row.intent_begun_at is None
        if not uncertain and unlinked and key not in self._tables.grants:
            del self._tables.users[key]

    def link(self, grant, profile, replace_live, fingerprint):
        tables, key = self._tables, grant.key
        row, held = tables.users.get(key), tables.grants.get(key)
        if not _may_link(row, held, grant, replace_live):
            return None
        self._require_free(key, profile.email if profile else None, grant.upstream_id)
        now = tables.now()
        generation = next_generation(0 if held is None else held.generation, now)
        row = self._link_user(row, grant, profile, now)
        self._link_grant(row, held, grant, generation, now)
        tables.lineage[fingerprint] = LineageEntry(key, generation, grant.counts_until)
        tables.note_moved(key, GrantState.LIVE)
        tables.note_stored(tables.grants[key], 0 if held is None else held.generation)
        return tables.user(row)

    def forget(self, key):
        tables = self._tables
        tables.note_moved(key, None)
        tables.lineage = {name: entry for name, entry in tables.lineage.items() if entry.key != key}
        tables.grants.pop(key, None)
        return tables.users.pop(key, None) is not None

    def _held(self, key, intent):
        row = self._tables.users.get(key)
        ours = row is not None and (row.intent_owner, row.intent_epoch) == (intent.owner, intent.epoch)
        return row if ours else None

    def _to_be_taken(self, row, owner):
        held = self._tables.grants.get(row.key)
        if row.intent_begun_at is None:
            return held is None or (held.state is GrantState.DEAD and held.reason == "user_gone")
        left = row.intent_at is None or row.intent_at <= self._tables.now() - self._tables.deadline
        return left or (row.intent_owner or "") in ("", owner)

    def _take_intent(self, row, profile, owner):
        now = self._tables.now()
        if row.intent_begun_at is None:
            row.intent_begun_at, row.intent_attempts = now, 0
        row.intent_owner = owner
        row.intent_epoch += 1
        row.intent_at = now
        row.profile = profile

    def _require_free(self, key, email, upstream_id):
        for other in self._tables.users.values():
            if other.key == key or other.key.client != key.client:
                continue
            if email and other.profile.email == email:
                raise Conflict("The e-mail address belongs to another user.")
            if upstream_id is not None and other.upstream_id == upstream_id:
                raise Conflict("The upstream user belongs to another user.")

    def _link_user(self, row, grant, profile, now):
        if row is None:
            row = UserRow(grant.key, profile or Profile(email=""), now)
            self._tables.users[grant.key] = row
        elif profile is not None:
            row.profile = replace(profile, email=profile.email or row.profile.email)
        row.upstream_id = grant.upstream_id
        if grant.vouch:
            row.vouched_at = now
        row.intent_owner = row.intent_begun_at = row.intent_at = None
        row.intent_attempts, row.intent_uncertain = 0, False
        return row

    def _link_grant(self, user, held, grant, generation, now):
        until = now + self._tables.window if grant.distrust else None
        row = GrantRow(user, grant.upstream_id, grant.event, generation, grant.pair, grant.due_at)
        row.distrusted_until = until
        if held is not None:
            row.distrusted_until = latest(held.distrusted_until, until)
            row.claim_epoch = held.claim_epoch
            row.not_before_generation = held.not_before_generation
            row.last_error, row.last_error_at = held.last_error, held.last_error_at
        self._tables.grants[grant.key] = row


def _may_link(row, held, grant, replace_live):
    if row is None:
        return grant.intent is None
    if grant.intent is not None:
        return (row.intent_owner, row.intent_epoch) == (grant.intent.owner, grant.intent.epoch)
    if held is not None and held.state is GrantState.LIVE:
        return replace_live
    return held is None or held.state is not GrantState.PAUSED
