"""A part of an SBOM: one CycloneDX component, and what it asks for by name or reference."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from supply import licences
from supply.locks import Locked

Component = dict[str, Any]
US = "token-broker"


@dataclass(frozen=True)
class Part:
    """One component and the references of those that ask for it; unasked for, it is the project's."""

    ref: str
    component: Component
    asked_by: frozenset[str]


def python_parts(locked: Iterable[Locked]) -> list[Part]:
    """Return the packages of a lock, each with the hashes of all its files: any one may be installed."""
    here = list(locked)
    refs = {US: US, **{one.name: _pypi(one) for one in here}}
    return [_python_part(one, refs) for one in here]


def _pypi(one: Locked) -> str:
    return f"pkg:pypi/{one.name}@{quote(one.version)}"


def _python_part(one: Locked, refs: Mapping[str, str]) -> Part:
    ref = _pypi(one)
    files = [{"alg": "SHA-256", "content": each} for each in sorted(one.hashes)]
    component = {
        **_head("library", ref, one.name, one.version),
        "licenses": licensed(licences.load().get(one.name)),
        "purl": ref,
        "externalReferences": [
            {"type": "distribution", "url": f"https://pypi.org/simple/{one.name}/", "hashes": files}
        ],
    }
    if one.marker:
        component["properties"] = [{"name": "token-broker:installed-where", "value": one.marker}]
    names = (wanted.partition(" ")[0] for wanted in one.wanted_by)
    return Part(ref, component, frozenset(refs[name] for name in names if name in refs))


def _head(kind: str, ref: str, name: str, version: str) -> Component:
    return {"type": kind, "bom-ref": ref, "name": name, "version": version}


def licensed(stated: str | None) -> list[dict[str, Any]]:
    """Return what a package states of its licence: an expression is one, any other text is a name."""
    if stated in {None, "not stated"}:
        return []
    return (
        [{"expression": stated}] if licences.is_expression(str(stated)) else [{"license": {"name": stated}}]
    )


def npm_parts(lock: Path) -> list[Part]:
    """Return the packages of a package-lock.json, but for what it links to in this repository."""
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]
    fetched = {where: one for where, one in packages.items() if "integrity" in one}
    asked: dict[str, set[str]] = {where: set() for where in fetched}
    for where, one in fetched.items():
        for name in one.get("dependencies", {}) | one.get("optionalDependencies", {}):
            found = _resolved(where, name, fetched)
            if found is not None:
                asked[found].add(_npm(where, one))
    for name in packages.get("", {}).get("dependencies", {}) | packages.get("", {}).get(
        "devDependencies", {}
    ):
        asked.get(f"node_modules/{name}", set()).add(US)
    return [_npm_part(where, one, asked[where]) for where, one in fetched.items()]


def _resolved(where: str, name: str, fetched: Mapping[str, object]) -> str | None:
    """Return where a package finds another: in its own folder, else in that of who holds it, and so on."""
    holder = f"{where}/"
    while True:
        candidate = f"{holder}node_modules/{name}"
        if candidate in fetched:
            return candidate
        if not holder:
            return None
        holder = holder.rstrip("/").rpartition("node_modules/")[0]


def _npm_name(where: str, one: Mapping[str, Any]) -> str:
    return str(one.get("name") or where.rpartition("node_modules/")[2])


def _npm(where: str, one: Mapping[str, Any]) -> str:
    return f"pkg:npm/{quote(_npm_name(where, one))}@{quote(one['version'])}"


def _npm_part(where: str, one: Mapping[str, Any], asked_by: Iterable[str]) -> Part:
    ref = _npm(where, one)
    algorithm, _, digest = one["integrity"].partition("-")
    component = {
        **_head("library", ref, _npm_name(where, one), one["version"]),
        "hashes": [{"alg": f"SHA-{algorithm.removeprefix('sha')}", "content": b64decode(digest).hex()}],
        "licenses": licensed(one.get("license")),
        "purl": ref,
    }
    return Part(ref, component, frozenset(asked_by))


def program(name: str, version: str, licence: str, inside: str) -> Part:
    """Return a program that came inside a package of a lock, whose hash is what pins it."""
    ref = f"pkg:generic/{name}@{version}"
    component = {**_head("application", ref, name, version), "licenses": licensed(licence), "purl": ref}
    return Part(ref, component, frozenset({inside}))
