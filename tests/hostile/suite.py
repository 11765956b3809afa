"""The cases, a class of hostile input a file."""

from tests.hostile.tables import authorization, caching, methods, origins, tokens

_TABLES = (authorization, tokens, origins, methods, caching)


def cases():
    """Return every case."""
    return [case for table in _TABLES for case in table.CASES]


def odd_clients():
    """Return the OAuth clients that an upstream of their own is odd to."""
    return []
