"""Signs the sandbox's tokens (HS256) and names them without showing them.

Knows nothing of users or clients; never imports the state.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

import orjson


def encode_segment(data: bytes) -> str:
    """Return the bytes as unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


_HEADER = encode_segment(b'{"alg":"HS256","typ":"JWT"}')


def sign(claims: Mapping[str, object], key: bytes) -> str:
    """Return the claims as a signed compact JWT."""
    signed = f"{_HEADER}.{encode_segment(orjson.dumps(claims))}"
    return f"{signed}.{encode_segment(hmac.digest(key, signed.encode('ascii'), 'sha256'))}"


def identifier(token: str) -> str:
    """Return the stable name of a token in journals: the first 16 hex characters of its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:16]
