"""Makes a grant out of a pair that the app holds: the same rules for one user and for a whole table of them.

Checks what the pair says of itself and places it in the broker's time; stores nothing.
"""

from __future__ import annotations

from service.broker.creation import new_grant
from service.broker.errors import Invalid
from service.broker.expiry import place_enrolled
from service.broker.model import Enrolment, MintedPair, Stated, User, UserKey
from service.broker.policy import Terms
from service.broker.ports import NewGrant, Ports


def enrolled(ports: Ports, terms: Terms, key: UserKey, enrolment: Enrolment, *, actor: str) -> NewGrant:
    """Return the grant to be stored; Invalid when the token names another user or client upstream."""
    stated = ports.providers[key.client].describe(enrolment.access_token)
    if stated.other_client:
        raise Invalid(fields={"accessToken": "is a token of another OAuth client"})
    if stated.owner_id != enrolment.upstream_id:
        raise Invalid(fields={"accessToken": "is not a token of the upstream user in calUserId"})
    stated = Stated(
        stated.owner_id,
        stated.issued_at,
        enrolment.access_token_expires_at or stated.ends_at,
        enrolment.refresh_token_expires_at or stated.refresh_token_ends_at,
    )
    placed = place_enrolled(
        MintedPair(enrolment.access_token, enrolment.refresh_token, stated),
        ports.clock(),
        configured=terms.access_token_lifetime,
        margin=terms.refresh_margin,
        roll=ports.roll(),
    )
    return new_grant(key, enrolment.upstream_id, placed.pair, terms, event="grant.enrolled", actor=actor)


async def announce(ports: Ports, linked: User) -> None:
    """Let every process see the new generation at once."""
    if linked.grant is None:
        return
    if not linked.grant.marks.distrusted:
        await ports.cache.put(linked.grant.current())
    else:
        await ports.cache.block(linked.key, linked.grant.generation)
    await ports.wakeups.notify(linked.key, linked.grant.generation)
