"""Both servers together, in a folder that is kept or in a temporary one that is not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from sandbox.embedded.postgres import Postgres
from sandbox.embedded.valkey import Valkey


class Servers(NamedTuple):
    """A running PostgreSQL and a running Valkey."""

    postgres: Postgres
    valkey: Valkey


@contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder that servers started by root can enter, and remove it with all in it."""
    path = Path(tempfile.mkdtemp(prefix="token-broker-"))
    try:
        if os.geteuid() == 0:
            path.chmod(0o711)
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def servers(
    base: Path | None = None,
    *,
    postgres_options: Mapping[str, str] | None = None,
    valkey_options: Mapping[str, str] | None = None,
) -> Iterator[Servers]:
    """Start both below `base` and stop them at the end; without `base` no file is left either."""
    with ExitStack() as stack:
        place = base if base is not None else stack.enter_context(folder())
        postgres = Postgres(place, options=postgres_options)
        stack.callback(postgres.stop)
        postgres.start()
        valkey = Valkey(place, options=valkey_options)
        stack.callback(valkey.stop)
        valkey.start()
        yield Servers(postgres, valkey)
