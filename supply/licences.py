"""`python -m supply.licences`: writes down the licence that each locked package states of itself.

An SBOM must come out the same on every machine, and not every locked package is installed on each: what was
read where it was installed is kept in a file. A test holds the file to what is installed.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path

from supply import locks

FILE = locks.ROOT / "supply" / "licences.json"
_CLASSIFIER = "License :: OSI Approved :: "
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def load(path: Path = FILE) -> dict[str, str]:
    """Return each package's licence, as it states it."""
    told: dict[str, str] = json.loads(path.read_text())
    return told


def stated(package: str) -> str | None:
    """Return what an installed package states: its SPDX expression, else a name; None if it is not here."""
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return None
    classified = [
        one.removeprefix(_CLASSIFIER)
        for one in about.get_all("Classifier", [])
        if one.startswith(_CLASSIFIER)
    ]
    named = (about["License-Expression"] if "License-Expression" in about else about["License"]) or ""
    short = named if "\n" not in named and len(named) <= 60 else ""  # noqa: PLR2004 - a name, not the text itself
    return short or " AND ".join(sorted(classified)) or "not stated"


def is_expression(stated: str) -> bool:
    """Return whether it is written as SPDX writes licences: identifiers, joined by AND, OR or WITH."""
    words = stated.replace("(", " ").replace(")", " ").split()
    joined = words[1::2]
    return all(word in {"AND", "OR", "WITH"} for word in joined) and all(
        _ID.fullmatch(word) for word in words[::2]
    )


def main() -> int:
    """Read what is installed into the file; what is not stays as it was read elsewhere."""
    before = load() if FILE.exists() else {}
    told = {name: stated(name) or before.get(name) for name in sorted(locks.versions())}
    missing = [name for name, licence in told.items() if licence is None]
    FILE.write_text(json.dumps(told, indent=1) + "\n")
    if missing:
        sys.stderr.write(
            f"Not installed here and not known: {', '.join(missing)}. Add them to {FILE.name} by hand.\n"
        )
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
