"""PostgreSQL holds the truth: grants, lineage, users, events. Every token is sealed before it comes here."""

from service.adapters.postgres.claims import PostgresClaims
from service.adapters.postgres.clock import DatabaseClock
from service.adapters.postgres.database import Database
from service.adapters.postgres.events import PostgresEvents
from service.adapters.postgres.grants import PostgresGrants
from service.adapters.postgres.overview import PostgresOverview
from service.adapters.postgres.upkeep import PostgresUpkeep
from service.adapters.postgres.users import PostgresUsers

__all__ = [
    "Database",
    "DatabaseClock",
    "PostgresClaims",
    "PostgresEvents",
    "PostgresGrants",
    "PostgresOverview",
    "PostgresUpkeep",
    "PostgresUsers",
]
