"""The keys and names of one run, kept with its data, so that a second run on the same folder can open it.

Everything is drawn anew where there is no folder to keep. Must import nothing of the broker.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import orjson

from sandbox.dev.plan import Plan, WrongUsage
from sandbox.embedded import folder

_FILE = "run.json"


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of a run; `operator` is told to the person who started it.

    `suffix` tells its users from those of other runs at the same upstream.
    """

    encryption: str = field(default_factory=_key, repr=False)
    fingerprint: str = field(default_factory=_key, repr=False)
    backend: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    jobs: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    operator: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    suffix: str = field(default_factory=lambda: secrets.token_hex(3))
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a run's data, and its keys; `old` when an earlier run has left both there."""

    base: Path
    keys: Keys
    old: bool

    @property
    def sandbox_file(self) -> Path:
        """Where the sandbox Cal.com keeps its rows between runs."""
        return self.base / "sandbox.json"


@contextmanager
def home_of(plan: Plan) -> Iterator[Home]:
    """Open the folder that is kept, or make one that is removed at the end. Raises WrongUsage, OSError."""
    upstream = plan.real.api_url if plan.real else "sandbox"
    if plan.keep is None:
        with folder() as base:
            yield Home(base, Keys(upstream=upstream), old=False)
        return
    _make(plan.keep)
    yield _opened(plan.keep.absolute(), upstream)


def _make(keep: Path) -> None:
    if keep.exists():
        return
    keep.mkdir(parents=True)
    # Root's servers run as somebody else, who must be able to pass.
    keep.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _opened(base: Path, upstream: str) -> Home:
    file = base / _FILE
    if file.exists():
        keys = _read(file)
        if keys.upstream != upstream:
            raise WrongUsage(
                f"{base} holds the users of a run against {keys.upstream}, not {upstream}: keep them apart, "
                "each in a folder of its own."
            )
        return Home(base, keys, old=True)
    if any(base.iterdir()):
        raise WrongUsage(f"{base} is not empty and no run has kept its data there: name another folder.")
    keys = Keys(upstream=upstream)
    write_private(file, orjson.dumps(asdict(keys)))
    return Home(base, keys, old=False)


def _read(file: Path) -> Keys:
    try:
        kept = orjson.loads(file.read_bytes())
        # Folders of earlier releases have no key for the operator; each run may have another.
        names = [one.name for one in fields(Keys) if one.name != "operator" or "operator" in kept]
        return Keys(**{name: str(kept[name]) for name in names})
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise WrongUsage(f"{file} is damaged, and without its keys nobody can read the data.") from None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we can read, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def digest(api_key: str) -> str:
    """Return what the broker's settings hold of a caller's key."""
    return hashlib.sha256(api_key.encode()).hexdigest()
