"""The statements of the port GrantStore on the simulated tables.

What service/adapters/postgres/grants.py says in SQL; test_simulation_tables.py compares the two.
"""

from __future__ import annotations

from service.broker.model import GrantState
from tests.simulation.tables import Revoked, earliest, latest


class Grants:
    """Each method is one statement."""

    def __init__(self, tables):
        self._tables = tables

    def now(self):
        return self._tables.now()

    def find(self, fingerprints):
        entries = [self._tables.lineage[one] for one in fingerprints if one in self._tables.lineage]
        if not entries:
            return None
        entry = max(entries, key=lambda one: one.generation)
        row = self._tables.grants.get(entry.key)
        return None if row is None else (entry, self._tables.standing(row))

    def load(self, key):
        row = self._tables.grants.get(key)
        return None if row is None else self._tables.grant(row)

    def mark_refused(self, key, generation):
        row = self._tables.grants.get(key)
        if row is None or row.generation != generation or row.state is not GrantState.LIVE:
            return False
        row.refused = True
        if row.claim_owner is None:
            row.due_at = self._tables.now()
        return True

    def distrust(self, key):
        row = self._tables.grants.get(key)
        if row is not None:
            row.distrusted_until = latest(row.distrusted_until, self._tables.now() + self._tables.window)

    def clear_distrust(self, key, generation, confirmed_at):
        row = self._tables.grants.get(key)
        if row is None or row.generation != generation or row.distrusted_until is None:
            return False
        if row.distrusted_until >= confirmed_at:
            return False
        row.distrusted_until = None
        return True

    def note_uses(self, uses):
        for use in uses:
            row, user = self._tables.grants.get(use.key), self._tables.users.get(use.key)
            if row is not None and row.generation == use.generation and row.first_used_at is None:
                row.first_used_at = use.at
                if row.state is GrantState.LIVE and row.claim_owner is None and not row.refresh_token_dead:
                    wanted = earliest(row.pair.refresh_at, row.distrusted_until)
                    row.due_at = earliest(row.due_at, latest(wanted, row.retry_at))
            if user is not None and use.by_browser:
                user.refreshed_at = latest(user.refreshed_at, use.at)

    def vouch(self, key, at):
        user = self._tables.users.get(key)
        if user is not None:
            user.vouched_at = latest(user.vouched_at, at)

    def request_force(self, key, revoke):
        row = self._tables.grants.get(key)
        if row is None or row.state is not GrantState.LIVE:
            return self.load(key)
        row.force_pending = True
        if row.claim_owner is None:
            row.due_at = self._tables.now()
        row.retry_at = None
        if revoke:
            row.not_before_generation = row.generation
            self._tables.log.append(Revoked(self._tables.clock(), key, row.generation))
        return self._tables.grant(row)

    def set_state(self, key, state, reason, due_at):
        row = self._tables.grants.get(key)
        if row is None:
            return None
        row.state, row.reason = state, reason
        self._tables.note_moved(key, state)
        if state is not GrantState.LIVE:
            row.due_at = None
        else:
            row.due_at = due_at if row.claim_owner is None else row.due_at or row.claimed_at
        return self._tables.grant(row)
