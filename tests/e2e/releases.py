"""The next release, as a source tree of its own: this one's, with migrations and code that uses them."""

import shutil
from pathlib import Path

from sql.files import OUTSIDE, newest_version
from tests.support.programs import ROOT, started

ROOMS = ("service", "worker", "sql")
EXPANSIONS = {
    "settled_by": """
        ALTER TABLE grants ADD COLUMN settled_by text, ADD COLUMN weight integer NOT NULL DEFAULT 1,
            ADD CONSTRAINT grants_weight CHECK (weight > 0) NOT VALID;
    """,
    "weight_checked": "ALTER TABLE grants VALIDATE CONSTRAINT grants_weight;",
    "region": "ALTER TABLE users ADD COLUMN region text;",
    "users_by_region": f"""{OUTSIDE}
        CREATE INDEX CONCURRENTLY IF NOT EXISTS users_region ON users (client, region);
    """,
}
SETTLING = "service/adapters/postgres/settlements.py", "UPDATE grants g SET generation = x.generation"
SETTLING_NEXT = "UPDATE grants g SET settled_by = 'next', generation = x.generation"


def write_next_release(folder):
    """Write the next release's tree; returns the names of its migrations."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    names = []
    for number, (what, sql) in enumerate(EXPANSIONS.items(), start=newest_version() + 1):
        names.append(f"{number:04}_{what}")
        (folder / "sql" / f"{names[-1]}.sql").write_text(sql)
    changed = folder / SETTLING[0]
    assert changed.read_text().count(SETTLING[1]) == 1
    changed.write_text(changed.read_text().replace(SETTLING[1], SETTLING_NEXT))
    return names


class Migrating:
    """A running `token-broker migrate` of a release."""

    def __init__(self, program):
        self._program = program

    def says(self, words):
        """Whether it has said this."""
        return any(words in line for line in self._program.stray)

    async def applied(self):
        """The names of what it applied, once it has ended well."""
        code = await self._program.process.wait()
        await self._program.kill()
        assert code == 0, self._program.last_lines()
        return [line.removeprefix("applied ") for line in self._program.stray if line.startswith("applied ")]


async def migrating(environment, tree: Path = ROOT):
    """Start `token-broker migrate` of the release in this tree."""
    return Migrating(await started("migrate", environment, tree=tree))
