"""The migrations of a release: numbered SQL files, read and named, and what their names and marks mean.

Imports the standard library only; nothing here touches a database.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

OUTSIDE = "-- migrate: outside a transaction"
"""The line of a file whose one statement PostgreSQL refuses to run inside a transaction."""

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_CONTRACT = re.compile(r"\d{4}_contract_(\d{4})_\w+")
_INDEX = re.compile(
    r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(\w+)", re.IGNORECASE
)


class MigrationError(Exception):
    """The database and the migrations of this release do not fit together; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells whether the file has changed since it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def outside(self) -> bool:
        """Whether it must run outside a transaction."""
        return OUTSIDE in self.sql.splitlines()

    @property
    def index(self) -> str | None:
        """The index that it builds concurrently: killed half-way, such a one stays behind, invalid."""
        built = _INDEX.search(self.sql)
        return built[1] if built else None


def read(folder: Traversable | None = None) -> list[Migration]:
    """Return the migrations of a folder (default: ours) in their order; MigrationError on a bad name."""
    place = folder if folder is not None else resources.files("sql")
    files = sorted(
        (file for file in place.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    migrations = [_parse(file) for file in files]
    for earlier, later in pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationError(
                f"{earlier.name} and {later.name} have the same number: give the newer one the next."
            )
    return migrations


def newest_version() -> int:
    """Return the number of this release's last migration: the schema that its queries need."""
    return read()[-1].version


def oldest_beside(name: str) -> int:
    """Return the last migration that a release must know at least to run once this one is applied.

    Expanding ones take nothing away from anybody (0). `0009_contract_0007_what` takes away what only
    releases that do not know 0007 still use.
    """
    contract = _CONTRACT.fullmatch(name)
    return int(contract[1]) if contract else 0


def _parse(file: Traversable) -> Migration:
    parts = _FILE_NAME.fullmatch(file.name)
    if parts is None:
        raise MigrationError(
            f"{file.name} is no name of a migration: it must look like 0007_what_it_does.sql."
        )
    if parts[2].startswith("contract") and not _CONTRACT.fullmatch(file.name.removesuffix(".sql")):
        raise MigrationError(
            f"{file.name} must say from which migration on nobody needs what it takes away, like "
            "0009_contract_0007_what_it_does.sql."
        )
    return Migration(int(parts[1]), file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
