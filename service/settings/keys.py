"""Reads what is kept secret: key rings and the client's secret.

A value that does not fit raises ValueError that says which entry is wrong and never what it holds.
Must import nothing but the grammar and its like.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import parse_qs, unquote, urlsplit

from service.settings.grammar import no_twins, parse_list
from service.settings.webhooks import SECRET_PREFIX

KeyRing = tuple[tuple[str, bytes], ...]
"""Key ids with 32-byte keys; the first one writes, all of them read."""

KEY_BYTES = 32

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_CLIENT_SECRET = re.compile(r"[!-~]{1,4096}")


CLIENT_SECRET_LINES = 2


def parse_client_secret(text: str) -> str:
    """Check an OAuth client's secret: it travels in a header, so visible ASCII only."""
    if not _CLIENT_SECRET.fullmatch(text):
        raise ValueError("must be 1 to 4096 visible ASCII characters without spaces")
    return text


def parse_client_secrets(text: str) -> tuple[str, ...]:
    """Read a client's secret, or two while it is changed: the new one, and on a second line the old one."""
    secrets = tuple(parse_client_secret(line) for line in text.split("\n"))
    no_twins(secrets, lambda secret: secret, "secret")
    return secrets


def _parse_key(entry: str) -> tuple[str, bytes]:
    """Read one `id:base64`."""
    key_id, _, encoded = entry.partition(":")
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("must be id:base64 with an id of 1 to 32 letters, digits, '_' or '-'")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("has a key that is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"has a key of {len(key)} bytes: it must have {KEY_BYTES}")
    return key_id, key


def parse_key_ring(text: str) -> KeyRing:
    """Read `id:base64(32 bytes)` entries; ids and keys must differ."""
    ring = parse_list(text, _parse_key)
    no_twins(ring, lambda entry: entry[0], "key id")
    no_twins(ring, lambda entry: entry[1], "key")
    return ring


def _sensitive_part(entry: str) -> str:
    """Return what is secret of a list's entry: all but the name in front, or a signing secret whole."""
    name, _, rest = entry.strip().partition(":")
    return rest or (name if name.startswith(SECRET_PREFIX) else "")


def sensitive_parts(raw: str) -> frozenset[str]:
    """Return every piece of a secret setting that must not be seen anywhere, for the log's second net."""
    if "://" in raw:
        parts = urlsplit(raw)
        password = parts.password or ""
        pieces = {raw, password, unquote(password), *parse_qs(parts.query).get("password", [])}
    else:
        pieces = {raw, *raw.split("\n"), *map(_sensitive_part, raw.split(","))}
    return frozenset(filter(None, pieces))
