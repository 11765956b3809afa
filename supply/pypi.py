"""`make advisories PYPI=1`: asks the package index where OSV cannot be reached.

The index lists the advisories (OSV's) that affect a project's newest release, and of no other. What is locked
in its newest release was checked whole by that; every other entry stays as it was.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from supply import advisories, locks
from supply.renew import NotRenewed, of_each, write

INDEX = "https://pypi.org"
# Nobody will mend its last release: an index, or a mirror, that lists nothing for it lists nothing at all.
CONTROL, LISTED = "pycrypto", "PYSEC-2018-97"
SOURCE = {
    "what": "The package index's own list of the advisories that affect the newest release of a project,"
    " asked where that release is the locked one.",
    "where": INDEX + "/pypi/<name>/json",
    "lists": "all",
    "licence": "of each advisory as its home states it; PyPA's and GitHub's are CC-BY-4.0",
}


@dataclass(frozen=True)
class Newest:
    """A project's newest release, and the advisories that affect it."""

    version: str
    vulns: list[dict[str, Any]]


async def ask(packages: list[str], base: str = INDEX) -> dict[str, Newest]:
    """Return what the index says of each project's newest release. Raises NotRenewed."""
    answers = await of_each([CONTROL, *packages], _ask, base)
    control = answers.pop(CONTROL)
    if LISTED not in {vuln["id"] for vuln in control.vulns}:
        raise NotRenewed(f"{base} leaves advisories out: it has not {LISTED} of {CONTROL} {control.version}")
    return answers


async def _ask(session: aiohttp.ClientSession, package: str) -> Newest:
    try:
        async with session.get(f"/pypi/{package}/json", allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP's own number
                raise NotRenewed(f"{package} could not be asked for: the index answered {response.status}")
            told = await response.json()
        version = told["info"]["version"]
        return Newest(version, [_kept(vuln, version) for vuln in told["vulnerabilities"]])
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as failed:
        raise NotRenewed(f"{package} could not be asked for: {type(failed).__name__}: {failed}") from failed


def _kept(vuln: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return what the audit judges by: of what it affects, the index says this one version."""
    kept = {name: vuln[name] for name in ("id", "aliases", "withdrawn") if vuln.get(name)}
    return {**kept, "affected": [{"versions": [version]}]}


def renewed(told: Mapping[str, Any], answers: Mapping[str, Newest], root: Path) -> dict[str, Any]:
    """Return the file with what the index answered for what is locked in its newest release."""
    packages = dict(told["packages"])
    for name, found in locks.versions(root).items():
        if list(found) == [answers[name].version]:
            packages[name] = _whole(packages.get(name, {}), answers[name])
    sources = {**told["sources"], "pypi": SOURCE}
    return {"taken": str(datetime.now(UTC).date()), "sources": sources, "packages": packages}


def _whole(entry: Mapping[str, Any], newest: Newest) -> dict[str, Any]:
    """Return an entry that holds what was known of other versions as well."""
    known = list(entry.get("vulns", []))
    new = [vuln for vuln in newest.vulns if vuln not in known]
    return {
        "locked": [newest.version],
        "sources": sorted({*entry.get("sources", []), "pypi"}),
        "vulns": known + new,
    }


def main(root: Path = locks.ROOT, base: str = INDEX) -> int:
    """Renew what can be renewed this way; returns the exit code."""
    path = root / "supply" / advisories.FILE.name
    try:
        advisories.load(path)
        answers = asyncio.run(ask(sorted(locks.versions(root)), base))
        told = renewed(json.loads(path.read_text()), answers, root)
        write(told, path)
    except (NotRenewed, locks.Unreadable) as failed:
        sys.stderr.write(f"The advisory file stays as it was. {failed}\n")
        return 1
    whole = sum("pypi" in entry["sources"] for entry in told["packages"].values())
    sys.stdout.write(
        f"{whole} of {len(answers)} packages are locked in their newest release. Now: make audit\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
