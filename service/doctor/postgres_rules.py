"""Judges what PostgreSQL says of itself: durability, room, the role, writes, rights, indexes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from service.doctor.findings import Finding, doubtful, fine, wrong

if TYPE_CHECKING:
    from service.doctor.postgres_facts import Facts
    from service.settings import Settings

POOL = 10
"""Connections that each process opens at most: see Database."""
_SPARE = 3
"""For the migrations, and for a person with psql."""
_SHORTEST_CHECKPOINT_S = 300
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def judge_durability(facts: Facts) -> Iterator[Finding]:
    """Judge whether what was committed is still there after a crash: a lost pair is a user locked out."""
    lost = {
        "fsync": "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
        "full_page_writes": "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
        "synchronous_commit": f"ALTER ROLE {facts.role} IN DATABASE {facts.database} SET "
        "synchronous_commit = on;",
    }
    off = [name for name in lost if facts.settings.get(name) == "off"]
    for name in off:
        what = f"{name} is off: a crash loses pairs that were committed, and each is a user locked out"
        yield wrong(f"postgres.{name}", what, f"As an administrator: {lost[name]}")
    if not off:
        yield fine(
            "postgres.durable",
            "what is committed survives a crash (fsync, full_page_writes, synchronous_commit)",
        )
    yield from _tuning(facts)


def _tuning(facts: Facts) -> Iterator[Finding]:
    checkpoint_s = seconds_of(facts.settings.get("checkpoint_timeout"))
    if 0 < checkpoint_s < _SHORTEST_CHECKPOINT_S:
        what = (
            f"checkpoint_timeout is {checkpoint_s:.0f} s: nearly every refresh then "
            "writes a whole page to the log"
        )
        mend = "As an administrator: ALTER SYSTEM SET checkpoint_timeout = '15min'; SELECT pg_reload_conf();"
        yield doubtful("postgres.checkpoint_timeout", what, mend)
    if facts.settings.get("autovacuum") == "off":
        what = "autovacuum is off: every refresh leaves a dead row, and look-ups slow down for good"
        mend = "As an administrator: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
        yield wrong("postgres.autovacuum", what, mend)
    if facts.settings.get("server_encoding") != "UTF8":
        what = (
            f"the database's encoding is {facts.settings.get('server_encoding')}: names "
            "that do not fit are refused"
        )
        yield doubtful(
            "postgres.encoding", what, "Make the database anew with ENCODING 'UTF8' and restore into it."
        )


def judge_room(facts: Facts, settings: Settings) -> Finding:
    """Judge whether the pools of one release fit into what the server, the database and the role allow."""
    reserved = facts.number("superuser_reserved_connections") + facts.number("reserved_connections")
    server = facts.number("max_connections") - (0 if facts.superuser else reserved)
    room = min([server, *facts.limits])
    needed = POOL * (settings.workers + 1) + _SPARE
    pools = f"{settings.workers} service process(es) and a worker may open {POOL} each"
    if needed > room:
        what = f"{pools}, which is {needed} with {_SPARE} to spare, and this role can have {room}"
        mend = (
            f"Raise max_connections (or the CONNECTION LIMIT of role or database) to {needed} or "
            "more, lower TOKEN_BROKER_WORKERS, or put PgBouncer in front."
        )
        return wrong("postgres.connections", what, mend)
    if needed + facts.others > server:
        what = (
            f"{pools}, and {facts.others} connections of others are open: together more "
            f"than the {server} there are"
        )
        mend = (
            "Raise max_connections, or put PgBouncer in front: otherwise the broker has "
            "none when all are busy."
        )
        return doubtful("postgres.connections", what, mend)
    return fine(
        "postgres.connections", f"{pools}; there is room for {room}. Each further pod needs {POOL} more"
    )


def judge_role(facts: Facts, settings: Settings) -> Iterator[Finding]:
    """Judge what the role may do beyond its work, and when the server gives up for it."""
    mend = (
        "As an administrator run sql/roles/roles.sql, and give the broker the role "
        "token_broker it makes (docs/upgrade.md)."
    )
    if facts.superuser or facts.owner:
        may = "is a superuser" if facts.superuser else "owns the tables and may drop them"
        yield doubtful(
            "postgres.role", f"the role {facts.role} {may}: more than service and worker need", mend
        )
    ours_s = settings.database_timeout.total_seconds()
    for name in ("statement_timeout", "lock_timeout"):
        limit_s = seconds_of(facts.settings.get(name))
        if not 0 < limit_s < ours_s:
            stands = f"is {limit_s:g} s" if limit_s else "is not set"
            what = f"{name} {stands}: the server goes on with what nobody waits for after {ours_s:g} s"
            shorter = f"{int(ours_s * 1000 / (1.5 if name == 'statement_timeout' else 3))}ms"
            set_it = (
                f"As an administrator: ALTER ROLE {facts.role} IN DATABASE {facts.database} "
                f"SET {name} = '{shorter}';"
            )
            yield doubtful(f"postgres.{name}", what, set_it)


def judge_writes(facts: Facts, refused: str) -> Finding:
    """Judge whether a refresh token can be spent: its claim must be written first."""
    if facts.standby:
        mend = (
            "Have TOKEN_BROKER_DATABASE_URL lead to the primary: name its host, or all hosts with "
            "target_session_attrs=read-write."
        )
        return wrong(
            "postgres.writable", "this is a standby, which takes no writes: nothing can be refreshed", mend
        )
    if facts.settings.get("transaction_read_only") == "on":
        mend = (
            "As an administrator: SET default_transaction_read_only = off; "
            f"ALTER ROLE {facts.role} IN DATABASE {facts.database} SET default_transaction_read_only = off;"
        )
        return wrong("postgres.writable", "its transactions are read-only: nothing can be refreshed", mend)
    if refused:
        mend = "See the server's log: a full disk and a damaged file are what this is mostly."
        return wrong("postgres.writable", f"it refuses a write ({refused}): nothing can be refreshed", mend)
    return fine("postgres.writable", "it takes writes")


def judge_rights(facts: Facts, missing: Mapping[str, Sequence[str]]) -> Finding:
    """Judge whether the role may do what service and worker do."""
    if not missing:
        return fine("postgres.rights", f"{facts.role} may read and write every table of the broker")
    what = "; ".join(f"{facts.role} lacks {', '.join(rights)} on {name}" for name, rights in missing.items())
    grants = " ".join(_grant(facts.role, name, rights) for name, rights in missing.items())
    return wrong("postgres.rights", what, f"As the tables' owner: {grants}")


def _grant(role: str, name: str, rights: Sequence[str]) -> str:
    kind = "FUNCTION " if rights == ["EXECUTE"] else ""
    return f"GRANT {', '.join(rights)} ON {kind}{name} TO {role};"


def judge_indexes(broken: Sequence[str]) -> Iterator[Finding]:
    """Judge what an interrupted migration left behind."""
    for name in broken:
        what = f"the index {name} was never finished: it costs at every write and helps no read"
        yield doubtful(
            "postgres.indexes",
            what,
            f"Run token-broker migrate again, or: REINDEX INDEX CONCURRENTLY {name};",
        )


def seconds_of(shown: str | None) -> float:
    """Return a duration as PostgreSQL shows it, `5min` or `250ms`, in seconds; 0 when there is none."""
    text = shown or "0"
    unit = text.lstrip("0123456789")
    number = text.removesuffix(unit)
    return float(number or 0) * _UNITS.get(unit, 1e-3)
