"""How a notice is written with the change it tells of: parts of statements for the stores that make it.

`seq` is drawn by whoever holds the grant's row: a user's notices have the order of what they tell of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.adapters.postgres.database import Connection
    from service.broker.ports import NewGrant

TELL = "INSERT INTO notices (type, client, user_id, mark, facts)"
"""How every statement that changes something begins its notice of it: five columns follow."""
ONCE = "ON CONFLICT (client, user_id, type, mark) DO NOTHING"
"""And how it ends: of what was told before nothing is told again."""

ABOUT_GRANT = "'calUserId', upstream_id, 'generation', generation, 'reason'"
"""What is said of a grant; the reason follows."""
DIED = f"""
    {TELL} SELECT 'grant.died', client, user_id, generation::text, jsonb_build_object({ABOUT_GRANT}, reason)
"""
"""How a notice of a grant that died begins; from where follows."""

# Once an hour for each token and sign, however many addresses and requests there were.
REUSED = f"""
    told AS (
        {TELL} SELECT x.event, x.client, x.user_id,
            concat_ws(':', x.reason, x.presented, extract(epoch FROM date_trunc('hour', x.at))::bigint),
            jsonb_build_object('generation', x.presented, 'reason', x.reason, 'calUserId', (
                SELECT upstream_id FROM users u WHERE u.client = x.client AND u.user_id = x.user_id))
        FROM given x
        WHERE x.event = 'token.reuse' AND x.kind = 'signal' AND x.client IS NOT NULL {ONCE}
    )
"""  # noqa: S608 - constants
"""A sign of misuse, in the statement that writes it among the events (`given`)."""

_RECOVERED = f"""
    {TELL} VALUES ('grant.recovered', $1, $2, $3::bigint::text,
        jsonb_build_object('calUserId', $4::text, 'generation', $3::bigint, 'reason', $5::text)) {ONCE}
"""


async def tell_recovered(connection: Connection, grant: NewGrant, generation: int) -> None:
    """Write, in the transaction that stores this pair, that a grant which could renew none has one again."""
    key, how = grant.key, grant.event.removeprefix("grant.")
    await connection.execute(_RECOVERED, key.client, key.user_id, generation, grant.upstream_id, how)
