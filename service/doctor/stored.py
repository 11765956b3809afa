"""Looks at what is stored: whether the keys there are open it, whose it is, and whether it is kept fresh.

Bounded: a large table is not counted, a sample of its pages is, and it is called one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.adapters.vault import Vault
from service.broker.errors import SealBroken, SealKeyMissing
from service.doctor.findings import Finding, doubtful, fine, wrong

if TYPE_CHECKING:
    import asyncpg

    from service.doctor.postgres_facts import Connection
    from service.settings import Settings

SMALL = 256 * 1024 * 1024
"""Tables up to so many bytes are counted whole: read in less than a second."""
_OPENED = 50
_LATE = "15 minutes"
_MOST_LATE = 1000

_SIZE = """
    SELECT sum(pg_relation_size(oid))::bigint FROM pg_class
    WHERE oid = to_regclass($1) OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1))
"""
_SEALED = "SELECT key_id, count(*) AS n FROM grants {sample} GROUP BY 1"
_NOTED = (
    "SELECT key_id, count(*) AS n FROM lineage {sample} WHERE counts_until > clock_timestamp() GROUP BY 1"
)
_SOME = """
    SELECT client, user_id, generation, access_sealed, refresh_sealed FROM grants WHERE key_id = ANY($1)
    LIMIT $2
"""
# From one client to the next along the key, so that no row is read that is not needed.
_CLIENTS = """
    WITH RECURSIVE step AS (
        (SELECT client FROM grants ORDER BY client LIMIT 1)
        UNION ALL
        SELECT (SELECT g.client FROM grants g WHERE g.client > step.client ORDER BY g.client LIMIT 1)
        FROM step WHERE step.client IS NOT NULL
    ) SELECT client FROM step WHERE client IS NOT NULL
"""
_OVERDUE = f"""
    SELECT count(*) FROM (
        SELECT FROM grants WHERE client = $1 AND due_at < clock_timestamp() - interval '{_LATE}'
        LIMIT {_MOST_LATE}
    ) AS late
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class Stored:
    """What was counted: rows by key, those that did not open, the clients, and what is overdue of each."""

    sealed: Mapping[str, int]
    noted: Mapping[str, int]
    sampled: bool
    broken: Sequence[str]
    clients: Sequence[str]
    overdue: Mapping[str, int]


async def examine_stored(connection: Connection, settings: Settings) -> list[Finding]:
    """Return what is to be said of the stored pairs."""
    samples = {table: await _sample(connection, table) for table in ("grants", "lineage")}
    sealed = await _by_key(connection, _SEALED, samples["grants"])
    stored = Stored(
        sealed=sealed,
        noted=await _by_key(connection, _NOTED, samples["lineage"]),
        sampled=any(samples.values()),
        broken=await _unopened(connection, settings, sealed),
        clients=[row["client"] for row in await connection.fetch(_CLIENTS)],
        overdue={one.name: await connection.fetchval(_OVERDUE, one.name) for one in settings.clients},
    )
    return [*judge_keys(stored, settings), *judge_clients(stored, settings), judge_overdue(stored)]


async def _sample(connection: Connection, table: str) -> str:
    """Return how a table is to be read: whole, or a part of its pages."""
    size = await connection.fetchval(_SIZE, table) or 0
    return f"TABLESAMPLE SYSTEM ({100 * SMALL / size:.6f})" if size > SMALL else ""


async def _by_key(connection: Connection, statement: str, sample: str) -> dict[str, int]:
    return {row["key_id"]: row["n"] for row in await connection.fetch(statement.format(sample=sample))}


async def _unopened(connection: Connection, settings: Settings, sealed: Mapping[str, int]) -> list[str]:
    """Return the ids of keys that are there under the right name and do not open what they have sealed."""
    if not settings.encryption_keys.value:
        return []
    vault = Vault.on(settings.encryption_keys)
    held = [key_id for key_id in sealed if vault.holds(key_id)]
    broken = []
    for key_id in held:
        rows = await connection.fetch(_SOME, [key_id], _OPENED)
        if any(not _opens(vault, row) for row in rows):
            broken.append(key_id)
    return broken


def _opens(vault: Vault, row: asyncpg.Record) -> bool:
    sealed_as = {name: row[name] for name in ("client", "user_id", "generation")}
    try:
        vault.open(row["access_sealed"], column="access", **sealed_as)
        vault.open(row["refresh_sealed"], column="refresh", **sealed_as)
    except SealKeyMissing:
        return True  # counted by its key's name
    except SealBroken:
        return False
    return True


def judge_keys(stored: Stored, settings: Settings) -> Iterator[Finding]:
    """Judge whether the two rings hold every key that is needed."""
    rings = (
        (
            "encryption_keys",
            stored.sealed,
            settings.encryption_keys.value,
            "pairs cannot be opened: their users are locked out",
        ),
        (
            "fingerprint_keys",
            stored.noted,
            settings.fingerprint_keys.value,
            "tokens are not recognised: tabs that hold them are locked out",
        ),
    )
    for name, counts, ring, what in rings:
        held = {key_id for key_id, _ in ring}
        lost = {key_id: n for key_id, n in counts.items() if key_id not in held} if held else {}
        yield _ring(name, lost, what, sampled=stored.sampled)
    for key_id in stored.broken:
        what = f"the key {key_id} does not open what was sealed under its name: another key, or altered rows"
        mend = (
            f"Put the key that {key_id} was into TOKEN_BROKER_ENCRYPTION_KEYS, from where you "
            "keep its copy; a new key needs a name of its own."
        )
        yield wrong("keys.encryption_keys", what, mend)


def _ring(name: str, lost: Mapping[str, int], what: str, *, sampled: bool) -> Finding:
    setting = f"TOKEN_BROKER_{name.upper()}"
    of = " of a sample" if sampled else ""
    if not lost:
        return fine(
            f"keys.{name}", f"every key that is needed is in {setting}{of and ', as far as a sample shows'}"
        )
    rows = ", ".join(f"{n}{of} under {key_id}" for key_id, n in lost.items())
    mend = (
        f"Put {', '.join(lost)} back into {setting}, behind the first; token-broker rewrap "
        "--dry-run counts what still needs a key."
    )
    return wrong(f"keys.{name}", f"{what} ({rows})", mend)


def judge_clients(stored: Stored, settings: Settings) -> Iterator[Finding]:
    """Judge whether somebody's users belong to a client that is not configured."""
    known = {client.name for client in settings.clients}
    strangers = [name for name in stored.clients if name not in known] if known else []
    for name in strangers:
        what = f"users of the OAuth client {name} are stored, and no client of that name is configured"
        mend = (
            f"Put {name} back into TOKEN_BROKER_CLIENTS_FILE under this name; if it is gone "
            "for good, delete its users."
        )
        yield wrong("clients", what, mend)


def judge_overdue(stored: Stored) -> Finding:
    """Judge whether a worker keeps up."""
    late = {name: count for name, count in stored.overdue.items() if count}
    if not late:
        return fine("worker", f"no pair has been due for longer than {_LATE}")
    counts = ", ".join(
        f"{count}{'+' if count == _MOST_LATE else ''} of {name}" for name, count in late.items()
    )
    mend = (
        "See that token-broker work runs and what it logs (worker.sweep); if it does, upstream's "
        "budget is too small: docs/operations.md."
    )
    return doubtful("worker", f"pairs are due for longer than {_LATE}: {counts}", mend)
