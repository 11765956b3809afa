"""The cases, a class of hostile input a file."""

from tests.hostile.tables import authorization, caching, forwarded, framing, methods, origins, slow, tokens

_TABLES = (authorization, tokens, origins, methods, caching, framing, slow, forwarded)


def cases():
    """Return every case."""
    return [case for table in _TABLES for case in table.CASES]


def odd_clients():
    """Return the OAuth clients that an upstream of their own is odd to."""
    return []
