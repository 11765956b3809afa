"""The statements of the port ClaimStore on the simulated tables.

What service/adapters/postgres/claims.py says in SQL; test_simulation_tables.py compares the two.
"""

from __future__ import annotations

from service.broker.model import ClaimKind, GrantState, LineageEntry
from service.broker.ports import DueGrant
from tests.simulation.tables import KnownDead, latest, next_generation


class Claims:
    """Each method is one statement; `always_free` is for the negative control that ignores claims."""

    def __init__(self, tables, *, always_free=False):
        self._tables = tables
        self._always_free = always_free

    def claim(self, key, generation, owner):
        row = self._tables.grants.get(key)
        if row is None or row.generation != generation or row.state is not GrantState.LIVE:
            return None
        if not self._free(row):
            return None
        self._take(row, owner)
        return self._tables.grant(row)

    def claim_due(self, client, limit, now, owner):
        due = [
            row
            for row in self._tables.grants.values()
            if row.due_at is not None
            and row.due_at <= now
            and row.user.key.client == client
            and row.state is GrantState.LIVE
            and self._free(row)
        ]
        due.sort(key=lambda row: (row.due_at, row.user.key.user_id))
        claimed = []
        for row in due[:limit]:
            retaken = row.claim_owner is not None
            self._take(row, owner)
            claimed.append(DueGrant(self._tables.grant(row), retaken))
        return claimed

    def restamp(self, claim, kind):
        tables = self._tables
        row = tables.held(claim)
        if row is None:
            return None
        row.claimed_at, row.claim_kind = tables.now(), kind
        if kind is ClaimKind.FORCE:
            self._know_dead(row)
        row.due_at = row.claimed_at + tables.deadline
        tables.note_stamp(row)
        return tables.claim(row)

    def settle(self, settlement, fingerprint):
        tables, claim, pair = self._tables, settlement.claim, settlement.pair
        row = tables.held(claim)
        if row is None:
            return None
        still_pending = row.force_pending and row.claim_kind is not ClaimKind.FORCE
        before, row.generation = row.generation, next_generation(claim.generation, claim.claimed_at)
        row.pair = pair
        row.first_used_at = pair.issued_at if settlement.used else None
        row.force_pending = still_pending
        row.due_at = pair.issued_at if still_pending else settlement.due_at
        if row.state is not GrantState.LIVE:
            row.due_at = None
        row.free_claim()
        row.refused = row.refresh_token_dead = False
        row.failures, row.retry_at = 0, None
        entry = LineageEntry(claim.key, row.generation, settlement.counts_until)
        tables.lineage[fingerprint] = entry
        tables.note_stored(row, before)
        return tables.grant(row)

    def end_claim(self, claim, aftermath):
        row = self._tables.held(claim)
        if row is None:
            return False
        if not aftermath.keep_claim:
            row.free_claim()
        if aftermath.failed is not None:
            row.failures += 1
            row.last_error, row.last_error_at = str(aftermath.failed), self._tables.now()
        row.retry_at = aftermath.retry_at or row.retry_at
        if aftermath.refresh_token_dead:
            self._know_dead(row)
        elif aftermath.refresh_token_dead is False:
            row.refresh_token_dead = False
        if aftermath.state is not None:
            row.state, row.reason = aftermath.state, aftermath.reason
            self._tables.note_moved(claim.key, row.state)
        row.due_at = self._due_after(row, aftermath)
        if aftermath.distrust:
            row.distrusted_until = latest(row.distrusted_until, self._tables.now() + self._tables.window)
        return True

    def _due_after(self, row, aftermath):
        """Due at once when a mark has come that the claim was not carried out with."""
        known = aftermath.known
        if row.state is not GrantState.LIVE:
            return None
        if (row.refused and not known.refused) or (row.force_pending and not known.force_pending):
            return self._tables.now()
        return aftermath.due_at or row.due_at

    def _free(self, row):
        if row.claim_owner is None or self._always_free:
            return True
        return row.claimed_at <= self._tables.now() - self._tables.deadline

    def _take(self, row, owner):
        tables = self._tables
        if row.claim_owner is not None and row.claim_kind is ClaimKind.FORCE:
            row.distrusted_until = latest(row.distrusted_until, tables.now() + tables.window)
        row.claim_owner = owner
        row.claim_epoch += 1
        row.claim_kind = ClaimKind.REFRESH
        row.claimed_at = tables.now()
        row.due_at = row.claimed_at + tables.deadline
        tables.note_stamp(row)

    def _know_dead(self, row):
        if not row.refresh_token_dead:
            row.refresh_token_dead = True
            self._tables.log.append(KnownDead(self._tables.clock(), row.user.key, row.generation))
