"""Many users whose pairs have ended while the broker was away: stored in bulk, here and upstream.

The pairs ended one after the other during the last hour: the first user's is the most urgent one.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from sandbox.calcom import Sandbox
from service.adapters.postgres.rows import Rows
from service.adapters.vault import FingerprintRing, Vault, key_id_of
from service.broker.model import TokenPair, UserKey

AWAY_S = 2 * 3600.0
_HOUR = timedelta(hours=1)
_USERS = ("client", "user_id", "upstream_id", "email", "created_at", "vouched_at")
_LINEAGE = ("fingerprint", "key_id", "client", "user_id", "generation", "counts_until")
_GRANTS = (
    "client", "user_id", "upstream_id", "state", "reason", "generation", "key_id", "access_sealed",
    "refresh_sealed", "issued_at", "expires_at", "refresh_at", "first_used_at", "due_at",
)  # fmt: skip


@dataclass(frozen=True)
class Overdue:
    """One user; `number` is how many are more urgent."""

    number: int
    user_id: str
    upstream_id: int
    access_token: str
    refresh_token: str


def sandbox_of_before(config, count):
    """Return a sandbox as it stands after the outage, and its users: nothing they hold is alive."""
    sandbox = Sandbox(config, clock=lambda: time.time() - AWAY_S)
    users = []
    for number in range(count):
        user, pair = sandbox.create_user(config.clients[0].id, f"u{number}@example.com")
        users.append(Overdue(number, f"u{number}", user.id, pair.access.secret, pair.refresh.secret))
    sandbox.journal.clear()
    sandbox.advance(AWAY_S)
    return sandbox, users


async def store(users, client, database_url, keys):
    """Write the users as the broker's adapters would have; `keys` are (sealing ring, fingerprint ring)."""
    rows, ring = Rows(Vault(keys[0]), _HOUR, key_id_of), FingerprintRing(keys[1])
    now = datetime.now(UTC)
    records = [
        _records(one, client, now - _HOUR * (1 - one.number / len(users)), rows, ring) for one in users
    ]
    connection = await asyncpg.connect(database_url)
    for table, columns, written in zip(
        ("users", "grants", "lineage"), (_USERS, _GRANTS, _LINEAGE), zip(*records, strict=True), strict=True
    ):
        await connection.copy_records_to_table(table, columns=columns, records=written)
    await connection.execute("ANALYZE")
    await connection.close()


def _records(user, client, ended_at, rows, ring):
    """Return the user's row in each table, for a pair of an hour that ended at this instant."""
    key = UserKey(client, user.user_id)
    issued_at, refresh_at = ended_at - _HOUR, ended_at - _HOUR / 6
    pair = TokenPair(user.access_token, user.refresh_token, issued_at, ended_at, refresh_at, None)
    generation = int(issued_at.timestamp() * 1000)
    access, refresh = rows.sealed(key, generation, pair)
    fingerprint = ring.of(user.access_token)[0]
    upstream_id, email = str(user.upstream_id), f"{user.user_id}@example.com"
    sealed = rows.key_id_of(access), access, refresh
    return (
        (client, user.user_id, upstream_id, email, issued_at, datetime.now(UTC)),
        (
            client, user.user_id, upstream_id, "LIVE", "created", generation, *sealed,
            issued_at, ended_at, refresh_at, issued_at, refresh_at,
        ),
        (fingerprint.digest, fingerprint.key_id, client, user.user_id, generation, ended_at + 24 * _HOUR),
    )  # fmt: skip
