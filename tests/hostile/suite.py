"""The cases, a class of hostile input a file."""

from tests.hostile import explored
from tests.hostile.tables import (
    accounts,
    authorization,
    bodies,
    caching,
    callers,
    config,
    fields,
    forwarded,
    framing,
    idempotency,
    methods,
    origins,
    paths,
    queries,
    slow,
    stored,
    tokens,
    upstream,
    values,
    versions,
)

_TABLES = (
    *(authorization, tokens, origins, methods, caching),
    *(framing, versions, slow, forwarded),
    *(paths, queries, callers, accounts, stored),
    *(bodies, values, fields, idempotency),
    *(upstream, config, explored),
)


def cases():
    """Return every case."""
    return [case for table in _TABLES for case in table.CASES]


def odd_clients():
    """Return the OAuth clients that an upstream of their own is odd to."""
    return list(upstream.ODDITIES)
