"""PostgreSQL and Valkey of one's own, for trying and testing: nothing to install, nothing left behind.

Both run as direct children on free loopback ports with random passwords. Imports the standard library only,
and never the packages that carry the servers: importing those has side effects.
"""

from __future__ import annotations

from sandbox.embedded.errors import EmbeddedError
from sandbox.embedded.pair import Servers, folder, servers
from sandbox.embedded.postgres import Postgres
from sandbox.embedded.valkey import Valkey

__all__ = ["EmbeddedError", "Postgres", "Servers", "Valkey", "folder", "servers"]
