"""What a migration must not do while older processes serve: `broken(earlier, migration)` names its faults.

It reads text, not SQL's grammar: what it cannot see through (a DO block that builds its statement) is for the
reviewer's eyes. A file that breaks a rule for a good reason says so: `-- allow: <rule>: <reason>`.
"""

import re

from sql.files import OUTSIDE, oldest_beside

_COLUMN = r"\badd (?!constraint\b|check\b)(?:column )?(?:if not exists )?\w+ "

CONTRACTS = {
    "drop": r"\bdrop\b(?! index concurrently)",
    "rename": r"\brename\b",
    "type": r"\balter (column )?\w+ (set data )?type\b",
    "not null": rf"\bset not null\b|{_COLUMN}(?![^,;]*\bdefault\b)[^,;]*\bnot null\b",
    "truncate": r"\btruncate\b",
}
"""Takes something away from a release that still runs: for a contract file alone."""

ON_EXISTING = {
    "unvalidated": r"\badd (constraint \w+ )?(check|foreign key)\b(?![^;]*\bnot valid\b)",
    "unique": r"\badd (constraint \w+ )?(primary key|unique)\b(?! using index)|\badd column[^,;]*\bunique\b",
    "reference": rf"{_COLUMN}[^,;]*\breferences\b",
    "rewrite": rf"{_COLUMN}[^,;]*(\bdefault [^,;]*\w\(|\bgenerated\b|serial\b)",
}
"""Reads or writes the whole table while nobody else may touch it."""

ANYWHERE = {
    "lock": r"\block table\b|\bvacuum\b|\bcluster\b|\breindex (?!\w+ concurrently)",
}

_INDEX = re.compile(
    r"\bcreate (unique )?index (?P<beside>concurrently )?(?P<again>if not exists )?(\w+ )?"
    r"on (only )?(?P<table>\w+)"
)
_ALTERED = re.compile(r"\balter table (?:if exists )?(?:only )?(\w+)")
_WRITTEN = re.compile(r"\b(?:update|delete from) (?:only )?(\w+) ")
_MADE = re.compile(r"\bcreate table (?:if not exists )?(\w+)")
_ALLOWED = re.compile(r"^-- allow: ([a-z ]+): \S", re.MULTILINE)


def tables_of(migrations):
    """The tables that these migrations make."""
    return {table for migration in migrations for table in _MADE.findall(_plain(migration.sql))}


def broken(earlier, migration):
    """Return the names of the rules that a migration breaks in a database with the earlier ones."""
    text, existing = _plain(migration.sql), tables_of(earlier)
    found = {name for name, pattern in ANYWHERE.items() if re.search(pattern, text)}
    if not oldest_beside(migration.name):
        found |= {name for name, pattern in CONTRACTS.items() if _on(existing, pattern, text)}
    found |= {name for name, pattern in ON_EXISTING.items() if _on(existing, pattern, text)}
    found |= _of_indexes(text, existing, outside=migration.outside)
    if len({table for table in _ALTERED.findall(text) if table in existing}) > 1:
        found.add("two tables")
    if "validate constraint" in text and text.count(";") > 1:
        found.add("validation")
    if any(table in existing for table in _WRITTEN.findall(text)):
        found.add("rows")
    return found - set(_ALLOWED.findall(migration.sql))


def _on(existing, pattern, text):
    """Whether a statement that is not about a table of this very file matches."""
    for statement in text.split(";"):
        altered = _ALTERED.search(statement)
        new = altered is not None and altered[1] not in existing
        if not new and "create table" not in statement and re.search(pattern, statement):
            return True
    return False


def _of_indexes(text, existing, *, outside):
    found = set()
    for index in _INDEX.finditer(text):
        if index["beside"] and not (outside and index["again"]):
            found.add("index alone")
        if not index["beside"] and index["table"] in existing:
            found.add("index")
    if outside and text.count(";") > 1:
        found.add("index alone")
    return found


def _plain(sql):
    """The statements in lower case with single spaces, each ended by a semicolon, without comments."""
    text = re.sub(r"--[^\n]*", "", sql.replace(OUTSIDE, ""))
    return re.sub(r"\s+", " ", text).strip().lower().rstrip(";") + ";"
