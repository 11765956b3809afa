"""`make advisories`: asks OSV for every locked package anew and writes the advisory file; needs the internet.

All or nothing: one package that could not be asked leaves the file as it was. Of an advisory only what the
audit judges by is kept: its names, its dates and what it affects, not its text.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from supply import advisories, locks
from supply.ranges import UnreadableRange, hit

Answer = TypeVar("Answer")

OSV = "https://api.osv.dev"
AT_ONCE, PATIENCE_S, MOST_PAGES = 4, 30, 20
SOURCES = {
    "osv": {
        "what": "OSV's query API, asked for each package without a version: all its advisories.",
        "where": OSV + "/v1/query",
        "lists": "all",
        "licence": "of each advisory as its home states it; PyPA's and GitHub's are CC-BY-4.0",
    }
}


class NotRenewed(Exception):
    """The source did not answer for every package, or answered what cannot be."""


async def of_each(
    packages: list[str], ask_for: Callable[[aiohttp.ClientSession, str], Awaitable[Answer]], base: str
) -> dict[str, Answer]:
    """Return what a source answers for each package; whatever one question raises ends all."""
    gate = asyncio.Semaphore(AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(base, timeout=timeout, trust_env=True) as session:

        async def one(package: str) -> Answer:
            async with gate:
                return await ask_for(session, package)

        answers = await asyncio.gather(*map(one, packages))
    return dict(zip(packages, answers, strict=True))


async def ask(packages: list[str], base: str = OSV) -> dict[str, list[dict[str, Any]]]:
    """Return every package's advisories. Raises NotRenewed."""
    return await of_each(packages, _ask, base)


async def _ask(session: aiohttp.ClientSession, package: str) -> list[dict[str, Any]]:
    """Ask for one package, page by page."""
    question: dict[str, Any] = {"package": {"name": package, "ecosystem": "PyPI"}}
    found: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        answer = await _page(session, package, question)
        found += answer.get("vulns", [])
        if not answer.get("next_page_token"):
            return sorted((_kept(vuln, package) for vuln in found), key=lambda one: str(one["id"]))
        question["page_token"] = answer["next_page_token"]
    raise NotRenewed(f"{package}: after {MOST_PAGES} pages there was still another")


async def _page(session: aiohttp.ClientSession, package: str, question: Mapping[str, Any]) -> dict[str, Any]:
    try:
        async with session.post("/v1/query", json=question, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004 - HTTP's own number
                raise NotRenewed(f"{package} could not be asked for: the source answered {response.status}")
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
        raise NotRenewed(f"{package} could not be asked for: {type(failed).__name__}: {failed}") from failed
    if not isinstance(answer, dict) or not isinstance(answer.get("vulns", []), list):
        raise NotRenewed(f"{package}: the answer is not what OSV answers")
    return answer


def _kept(vuln: Mapping[str, Any], package: str) -> dict[str, Any]:
    """Return what the audit judges by; what one advisory says of other packages is theirs."""
    names = ("id", "aliases", "published", "modified", "withdrawn")
    affected = [_affected(one) for one in vuln.get("affected", []) if _is_of(one.get("package", {}), package)]
    kept: dict[str, Any] = {name: vuln[name] for name in names if vuln.get(name)}
    return {**kept, "affected": affected}


def _is_of(told: Mapping[str, str], package: str) -> bool:
    plain = told.get("name", "").lower().replace("_", "-").replace(".", "-")
    return told.get("ecosystem") == "PyPI" and plain == package.replace(".", "-")


def _affected(told: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out ranges of commits where versions are told, and versions that a range has anyway."""
    ranges = [one for one in told.get("ranges", []) if one.get("type") != "GIT"] or told.get("ranges", [])
    rest = [version for version in told.get("versions", []) if not _is_in(version, ranges)]
    return {"ranges": ranges, **({"versions": rest} if rest else {})}


def _is_in(version: str, ranges: list[Mapping[str, Any]]) -> bool:
    try:
        return hit(version, [{"ranges": ranges}]) is not None
    except (UnreadableRange, ValueError):
        return False


def renewed(
    answers: Mapping[str, list[dict[str, Any]]], before: Mapping[str, set[str]], root: Path
) -> dict[str, Any]:
    """Return the new file. Raises NotRenewed when what was known is gone: a source forgets nothing."""
    for package, known in before.items():
        named = {name for vuln in answers.get(package, []) for name in (vuln["id"], *vuln.get("aliases", []))}
        if package in answers and known - named:
            gone = ", ".join(sorted(known - named))
            raise NotRenewed(
                f"{package}: the file has {gone}, and the answer has not. Advisories are withdrawn, not"
                " deleted: is it the real source that answered? If it is, delete them from the file first."
            )
    packages = {
        name: {"locked": sorted(found), "sources": ["osv"], "vulns": answers[name]}
        for name, found in sorted(locks.versions(root).items())
    }
    return {"taken": str(datetime.now(UTC).date()), "sources": SOURCES, "packages": packages}


def write(told: Mapping[str, Any], path: Path) -> None:
    """Put the file in its place whole, in a form whose differences can be read."""
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    whole.replace(path)


def main(arguments: list[str] | None = None, root: Path = locks.ROOT) -> int:
    """Renew the file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make advisories", description="Ask OSV for every locked package.")
    parser.add_argument("--source", default=OSV, help="where OSV's API is, for a mirror of it")
    chosen = parser.parse_args(arguments)
    path = root / "supply" / advisories.FILE.name
    try:
        known = advisories.load(path).packages if path.exists() else {}
        before = {name: {vuln["id"] for vuln in entry.vulns} for name, entry in known.items()}
        answers = asyncio.run(ask(sorted(locks.versions(root)), chosen.source))
        write(renewed(answers, before, root), path)
    except (NotRenewed, locks.Unreadable) as failed:
        sys.stderr.write(f"The advisory file stays as it was. {failed}\n")
        return 1
    sys.stdout.write(
        f"asked for {len(answers)} packages: {sum(map(len, answers.values()))} advisories. Now: make audit\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
