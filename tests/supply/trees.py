"""A small tree to audit: three locks, an advisory file and exceptions, each to be bent by a test."""

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from supply.audit import audit
from supply.locks import ALL, IMAGE, IMAGE_BUILD

TAKEN = date(2026, 5, 4)
SOURCES = {"whole": {"lists": "all"}, "part": {"lists": "some"}}


def vuln(*events, **more):
    """Return an advisory whose one range has these events."""
    affected = [{"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}]
    return {"id": "PYSEC-1", "aliases": ["CVE-1"], "affected": affected, **more}


def lock_of(**packages):
    """Return a lock's text."""
    pins = (f"{name}=={version} \\\n    --hash=sha256:{'a' * 64}\n" for name, version in packages.items())
    return "".join(pins)


@dataclass
class Tree:
    """What stands in it; `judge` writes it down and audits it."""

    root: Path
    locked: dict = field(default_factory=lambda: {"alpha": "1.5", "beta": "2.0"})
    known: dict = field(default_factory=dict)
    exceptions: str = ""
    taken: str = str(TAKEN)

    def __post_init__(self):
        for name, version in self.locked.items():
            self.known[name] = {"locked": [version], "sources": ["whole"], "vulns": []}

    def write(self):
        """Put it all into files."""
        (self.root / "supply").mkdir(exist_ok=True)
        for lock in (ALL, IMAGE, IMAGE_BUILD):
            (self.root / lock).write_text(lock_of(**self.locked))
        told = {"taken": self.taken, "sources": SOURCES, "packages": self.known}
        (self.root / "supply/advisories.json").write_text(json.dumps(told))
        (self.root / "supply/exceptions.toml").write_text(self.exceptions)

    def judge(self, today=TAKEN, *, release=False):
        """Return the audit of it on a day."""
        self.write()
        return audit(self.root, today, release=release)
