"""Reads what the webhook is set up with: the secrets that sign, and the types that are sent.

A value that does not fit raises ValueError that says which entry is wrong and never what it holds.
Must import nothing but the grammar and the words of notices.
"""

from __future__ import annotations

import base64
import binascii

from service.broker.model.notice import NoticeType
from service.settings.grammar import no_twins, parse_list

SECRET_PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, as the Standard Webhooks specification has it."""
MOST_SECRETS = 4
TYPES = tuple(one.value for one in NoticeType)


def parse_webhook_secrets(text: str) -> tuple[bytes, ...]:
    """Read `whsec_base64` entries; each of them signs, so that a receiver may change over in its own time."""
    keys = parse_list(text, _parse_secret)
    no_twins(keys, lambda key: key, "secret")
    if len(keys) > MOST_SECRETS:
        raise ValueError(f"must have {MOST_SECRETS} secrets at most")
    return keys


def _parse_secret(entry: str) -> bytes:
    if not entry.startswith(SECRET_PREFIX):
        raise ValueError(f"must begin with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(entry.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("has a secret that is not base64") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"has a secret of {len(key)} bytes: it must have {SHORTEST} to {LONGEST}")
    return key


def parse_types(text: str) -> tuple[str, ...]:
    """Read the types of notices that are wanted."""
    types = parse_list(text, _parse_type)
    no_twins(types, lambda one: one, "type")
    return types


def _parse_type(entry: str) -> str:
    if entry not in TYPES:
        raise ValueError(f"must be of {', '.join(TYPES)}")
    return entry
