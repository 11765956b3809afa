"""Makes the peers ready: their packages from the committed lock, Prisma's client, Next's build.

Nothing is fetched where it is there already; what cannot be had is Missing, with the tools' own words.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Missing

FOLDER = Path(__file__).parent / "peers"
NEXT = FOLDER / "next"
_LOCKED = (FOLDER / "package.json", FOLDER / "package-lock.json")
_OLDEST_NODE = (20, 19)
_QUIET = {"NEXT_TELEMETRY_DISABLED": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1", "CHECKPOINT_DISABLE": "1"}


class _Failed(Exception):
    """A tool did not do its work."""


@dataclass(frozen=True, slots=True)
class Ready:
    """How to start each peer; one that cannot be started is Missing."""

    node: Path | Missing
    next: Path | Missing
    nginx: Path | Missing


def make_ready(*, install: bool) -> Ready:
    """Have everything in place; without `install` only what is there already counts."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    front = Path(nginx) if nginx else Missing("nginx is not installed")
    node = _node()
    if isinstance(node, Missing):
        return Ready(node, node, front)
    try:
        _packages(install=install)
    except _Failed as failed:
        return Ready(Missing(str(failed)), Missing(str(failed)), front)
    return Ready(node, _built(node), front)


def next_command(node: Path, *words: str) -> list[Path | str]:
    """Return the command that runs Next."""
    return [node, FOLDER / "node_modules" / "next" / "dist" / "bin" / "next", *words]


def _node() -> Path | Missing:
    node = shutil.which("node")
    if node is None or _version(node) < _OLDEST_NODE:
        return Missing(f"Node.js {'.'.join(map(str, _OLDEST_NODE))} or newer is not installed")
    return Path(node)


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - no shell
    found = re.match(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _packages(*, install: bool) -> None:
    modules, npm = FOLDER / "node_modules", shutil.which("npm")
    if _is_made_of(modules, _LOCKED):
        return
    if not install:
        raise _Failed("its packages are not installed (a whole `make bench` installs them)")
    if npm is None:
        raise _Failed("npm is not installed")
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], FOLDER, 600)
    _note_made_of(modules, _LOCKED)


def _built(node: Path) -> Path | Missing:
    """Generate Prisma's client and build the app, unless that was done of these very sources."""
    sources = [*_LOCKED, *sorted(path for path in _sources() if path.is_file())]
    made = NEXT / ".next"
    if _is_made_of(made, sources):
        return node
    try:
        prisma = FOLDER / "node_modules" / "prisma" / "build" / "index.js"
        _run([node, prisma, "generate"], NEXT, 120)
        _run(next_command(node, "build"), NEXT, 600)
    except _Failed as failed:
        return Missing(str(failed))
    _note_made_of(made, sources)
    return node


def _sources() -> list[Path]:
    skipped = {".next", "generated", "node_modules"}
    return [path for path in NEXT.rglob("*") if not skipped & set(path.relative_to(NEXT).parts)]


def _run(command: Sequence[Path | str], folder: Path, limit_s: float) -> None:
    # Generating a client does not use Prisma's schema engine; naming any program keeps it from being fetched.
    env = {**os.environ, **_QUIET, "PRISMA_SCHEMA_ENGINE_BINARY": shutil.which("true") or ""}
    try:
        ended = subprocess.run(  # noqa: S603 - no shell
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise _Failed(f"`{_shown(command)}` did not end within {limit_s:.0f} s") from None
    if ended.returncode != 0:
        raise _Failed(f"`{_shown(command)}` failed: {(ended.stderr or ended.stdout).strip()[-500:]}")


def _shown(command: Sequence[Path | str]) -> str:
    return " ".join(part.name if isinstance(part, Path) else part for part in command)


def _digest(sources: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def _is_made_of(made: Path, sources: Sequence[Path]) -> bool:
    stamp = made / ".made-of"
    return stamp.exists() and stamp.read_text() == _digest(sources)


def _note_made_of(made: Path, sources: Sequence[Path]) -> None:
    (made / ".made-of").write_text(_digest(sources))
