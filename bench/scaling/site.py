"""What a size is measured on: a roomy PostgreSQL, a Valkey, and an upstream that answers at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import Program, free_port, python, running
from bench.settings import NO_LIMITS, environment
from sandbox.embedded import Postgres, Valkey, folder

POSTGRES = {
    "shared_buffers": "2GB",
    "max_connections": "60",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",  # none but those that are asked for
    "autovacuum": "off",  # what it does would fall on whatever is measured just then
    "maintenance_work_mem": "512MB",
}
_BYTES_A_GRANT = 2_300
"""With its user, its indexes, and the log that is written meanwhile: measured, rounded up."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that is up."""

    place: Path
    cores: set[int]
    server_url: str
    redis_url: str
    upstream: Program

    def settings(self, database_url: str) -> tuple[dict[str, str], tuple[int, int, int]]:
        """Return a process's environment and its ports: public, internal, observing."""
        ports = (free_port(), free_port(), free_port())
        return environment(database_url, self.redis_url, self.upstream.port, ports) | NO_LIMITS, ports


@contextmanager
def site(*, small: bool = False) -> Iterator[Site]:
    """Start it; a small one takes less memory."""
    cores = os.sched_getaffinity(0)
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        options = POSTGRES | ({"shared_buffers": "64MB"} if small else {})
        postgres = Postgres(_below(place, "stores"), options=options)
        stack.callback(postgres.stop)
        server_url = postgres.start()
        valkey = Valkey(_below(place, "cache"))
        stack.callback(valkey.stop)
        redis_url = valkey.start()
        port = free_port()
        upstream = stack.enter_context(
            running("upstream", python("bench.upstream", port, 0), port=port, folder=place, cores=cores)
        )
        yield Site(place, cores, server_url, redis_url, upstream)


def lacks_room(place: Path, grants: int) -> str | None:
    """Return why so many grants do not fit on this disk, or None when they do."""
    free, needed = shutil.disk_usage(place).free, grants * _BYTES_A_GRANT
    if free > needed * 1.2:
        return None
    return f"{grants:,} grants need about {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free"


def _below(place: Path, name: str) -> Path:
    below = place / name
    below.mkdir(mode=0o711)
    return below
