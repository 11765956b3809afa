"""I9: no token and no secret stands in anything a process wrote, a store holds or a metric says.

Looked for raw, in base64 at each alignment, escaped for URLs and JSON, in hexadecimal, and as a prefix of
twenty characters; of a token, whose first characters are everybody's, also as its signature.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from sandbox.secrecy import PREFIX, forms
from tests.chaos import folder as names
from tests.chaos.check.evidence import Finding

_WORD = re.compile(rb"[A-Za-z0-9_-]{20,}")
_BASE64_KEYS = {"encryption_key", "fingerprint_key"}
_URLS = {"database_url", "redis_url"}


def nothing_leaks(evidence, folder):
    """Look through everything."""
    needles = {**secret_needles(evidence.run["secrets"]), **token_needles(evidence.journal)}
    signatures = _signatures(evidence.journal)
    files = sorted(path for path in (folder / names.OUTPUT).rglob("*") if path.is_file())
    files += sorted((folder / names.STORES).glob("*.log"))
    for path in [*files, folder / names.ANSWERS]:
        content = path.read_bytes()
        for needle, what in needles.items():
            if needle in content:
                yield Finding("leaks", f"{path.name} holds {what}")
        words = {match[0][:PREFIX] for match in _WORD.finditer(content)}
        for _ in words & signatures:
            yield Finding("leaks", f"{path.name} holds a token's signature")


def secret_needles(secrets):
    """Return what to look for of the run's secrets, with what each is called."""
    needles = {}
    for name, value in secrets.items():
        secret = urlsplit(value).password if name in _URLS else value
        for form, needle in forms(secret.encode()):
            needles[needle] = f"{name} {form}"
        if name in _BASE64_KEYS:
            needles[base64.b64decode(value)] = f"{name} decoded"
    return needles


def token_needles(journal):
    """Return what to look for of all tokens: how every one of them begins, in each form."""
    beginnings = {raw[:PREFIX] for line in journal for raw in (line["tokens"] or {}).values()}
    return {
        needle: f"a token {form}" for beginning in beginnings for form, needle in forms(beginning.encode())
    }


def _signatures(journal):
    return {
        raw.rpartition(".")[2][:PREFIX].encode()
        for line in journal
        for raw in (line["tokens"] or {}).values()
    }
