"""Looks at what is stored: whether the keys there are open it, whose it is, and whether it is kept fresh.

Bounded: a large table is not counted, a sample of its pages is, and it is called one.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    SELECT client, user_id, generation, access_sealed, refresh_sealed
    FROM grants {sample} WHERE key_id = $1 LIMIT $2
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


async def examine_pairs(connection: Connection, settings: Settings) -> list[Finding]:
    """Return whether the stored pairs can be opened."""
    if not settings.encryption_keys.value:
        return []
    vault = Vault.on(settings.encryption_keys)
    sample = await _sample(connection, "grants")
    sealed = await _by_key(connection, _SEALED, sample)
    broken = [key_id for key_id in sealed if await _fails(connection, vault, key_id, sample)]
    lost = {key_id: count for key_id, count in sealed.items() if not vault.holds(key_id)}
    return [judge_ring("encryption_keys", lost, sampled=bool(sample)), *map(_broken, broken)]


async def examine_lineage(connection: Connection, settings: Settings) -> list[Finding]:
    """Return whether the tokens that still count can be recognised."""
    held = {key_id for key_id, _ in settings.fingerprint_keys.value}
    if not held:
        return []
    sample = await _sample(connection, "lineage")
    noted = await _by_key(connection, _NOTED, sample)
    lost = {key_id: count for key_id, count in noted.items() if key_id not in held}
    return [judge_ring("fingerprint_keys", lost, sampled=bool(sample))]


async def examine_clients(connection: Connection, settings: Settings) -> list[Finding]:
    """Return whose users are stored, and whether they are kept fresh."""
    stored = [row["client"] for row in await connection.fetch(_CLIENTS)]
    known = [one.name for one in settings.clients]
    overdue = {name: await connection.fetchval(_OVERDUE, name) for name in known}
    strangers = [name for name in stored if name not in known] if known else []
    return [*map(_stranger, strangers), judge_overdue(overdue)]


async def _sample(connection: Connection, table: str) -> str:
    """Return how a table is to be read: whole, or a part of its pages."""
    size = await connection.fetchval(_SIZE, table) or 0
    return f"TABLESAMPLE SYSTEM ({100 * SMALL / size:.6f})" if size > SMALL else ""


async def _by_key(connection: Connection, statement: str, sample: str) -> dict[str, int]:
    return {row["key_id"]: row["n"] for row in await connection.fetch(statement.format(sample=sample))}


async def _fails(connection: Connection, vault: Vault, key_id: str, sample: str) -> bool:
    """Whether a key that is there under this name does not open what it has sealed, of the first rows met."""
    if not vault.holds(key_id):
        return False
    rows = await connection.fetch(_SOME.format(sample=sample), key_id, _OPENED)
    return not all(_opens(vault, row) for row in rows)


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


_LOST = {
    "encryption_keys": "pairs cannot be opened: their users are locked out",
    "fingerprint_keys": "tokens are not recognised: tabs that hold them are locked out",
}


def judge_ring(name: str, lost: Mapping[str, int], *, sampled: bool) -> Finding:
    """Judge whether a ring holds every key that is needed; `lost` are the rows under those it does not."""
    setting = f"TOKEN_BROKER_{name.upper()}"
    if not lost:
        as_far = ", as far as a sample shows" if sampled else ""
        return fine(f"keys.{name}", f"every key that is needed is in {setting}{as_far}")
    of = " of a sample" if sampled else ""
    rows = ", ".join(f"{count}{of} under {key_id}" for key_id, count in lost.items())
    mend = (
        f"Put {', '.join(lost)} back into {setting}, behind the first; "
        "token-broker rewrap --dry-run counts what still needs a key."
    )
    return wrong(f"keys.{name}", f"{_LOST[name]} ({rows})", mend)


def _broken(key_id: str) -> Finding:
    what = f"the key {key_id} does not open what was sealed under its name: another key, or altered rows"
    mend = (
        f"Put the key that {key_id} was into TOKEN_BROKER_ENCRYPTION_KEYS, from where you keep its copy; "
        "a new key needs a name of its own."
    )
    return wrong("keys.encryption_keys", what, mend)


def _stranger(name: str) -> Finding:
    what = f"users of the OAuth client {name} are stored, and no client of that name is configured"
    mend = (
        f"Put {name} back into TOKEN_BROKER_CLIENTS_FILE under this name; "
        "if it is gone for good, delete its users."
    )
    return wrong("clients", what, mend)


def judge_overdue(overdue: Mapping[str, int]) -> Finding:
    """Judge whether a worker keeps up."""
    late = {name: count for name, count in overdue.items() if count}
    if not late:
        return fine("worker", f"no pair has been due for longer than {_LATE}")
    counts = (f"{count}{'+' if count == _MOST_LATE else ''} of {name}" for name, count in late.items())
    mend = (
        "See that token-broker work runs and what it logs (worker.sweep); if it does, upstream's budget is "
        "too small: docs/operations.md."
    )
    return doubtful("worker", f"pairs are due for longer than {_LATE}: {', '.join(counts)}", mend)
