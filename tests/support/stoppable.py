"""What a test may stop without asking anybody: a PostgreSQL and a Valkey of its module's own."""

from dataclasses import dataclass

from sandbox.embedded import Postgres, Valkey


@dataclass(frozen=True)
class Stoppable:
    """Both servers, and the address of this test's database; the servers run again at its end."""

    postgres: Postgres
    valkey: Valkey
    url: str
