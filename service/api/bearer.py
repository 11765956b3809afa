"""Reads the bearer token of a request (RFC 6750 section 2.1), and nothing else of it.

The header is matched against a grammar before anything encodes, hashes or compares it: raw bytes above
ASCII arrive here as lone surrogates, which no encoder takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qsl

from service.api.errors import BearerMalformed, BearerMissing


class Headers(Protocol):
    """The part of a header collection that is needed here."""

    def getall(self, key: str, default: Sequence[str]) -> Sequence[str]:
        """Return every value of a header."""


# A percent sign is no part of a token, but a percent-encoded token is only unknown: nothing decodes it.
TOKEN_SIGNS = "._~+/=%-"
"""What a token may have besides letters and digits."""
LONGEST_TOKEN = 4096
_CREDENTIALS = re.compile(
    rf"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9{re.escape(TOKEN_SIGNS)}]{{1,{LONGEST_TOKEN}}})"
)
_SHORTEST_TOKEN = 20


def parse_bearer(headers: Headers, query: str) -> str:
    """Return the presented token; BearerMissing without one, BearerMalformed for anything irregular.

    `query` is the raw query string: a token in it is refused, also beside a good header.
    """
    values = headers.getall("Authorization", ())
    if query and _names_token(query):
        raise BearerMalformed
    if not values:
        raise BearerMissing
    match = _CREDENTIALS.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise BearerMalformed
    return match[1]


def may_be_token(presented: str) -> bool:
    """Whether what `parse_bearer` returned can be an access token; the rest is unknown without a look-up."""
    return len(presented) >= _SHORTEST_TOKEN and "%" not in presented


def _names_token(query: str) -> bool:
    return any(name == "access_token" for name, _ in parse_qsl(query, keep_blank_values=True))
