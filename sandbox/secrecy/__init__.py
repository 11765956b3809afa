"""Finds secrets where none may stand: in what processes write, stores hold, metrics say and answers carry.

Used by every suite; looks from outside and imports nothing of the broker.
"""

from sandbox.secrecy.needles import PREFIX, Needles, forms
from sandbox.secrecy.stores import all_of_postgres, all_of_redis, tables_of
from sandbox.secrecy.watch import ENDPOINTS, REFRESH_CLAIMS, Sighting, Watch, without_its_token

__all__ = [
    "ENDPOINTS",
    "PREFIX",
    "REFRESH_CLAIMS",
    "Needles",
    "Sighting",
    "Watch",
    "all_of_postgres",
    "all_of_redis",
    "forms",
    "tables_of",
    "without_its_token",
]
