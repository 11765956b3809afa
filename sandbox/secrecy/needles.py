"""What to look for: secrets in each form in which they may stand somewhere, cut to their first characters.

Tokens are JWTs, and these all begin alike: one needle finds every token there is, whoever signed it. What is
left of one without its beginning is found by its signature. Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

PREFIX = 20
SHORTEST = 8
"""What is shorter is no secret that a test or a run would draw, and stands in many a word."""
_WORD = re.compile(rb"[A-Za-z0-9_-]{20,}")
_BEGINNINGS = {
    "a token": (b'{"alg":"', b'{"typ":"', b'{"kid":"'),
    "a token's claims": (b'{"type":"access_token"', b'{"type":"refresh_token"'),
}
_PRIVATE_KEYS = ("-----BEGIN PRIVATE KEY", "-----BEGIN EC PRIVATE KEY", "-----BEGIN RSA PRIVATE KEY")


class Needles:
    """Everything that is looked for, and what each is called."""

    def __init__(self) -> None:
        """Begin with what every token has in common, and every private key."""
        self._named: dict[bytes, str] = {}
        self._ends: set[bytes] = set()
        for what, beginnings in _BEGINNINGS.items():
            for beginning in beginnings:
                # Characters of base64 that the next byte of the text would change are left out.
                whole = len(beginning) * 4 // 3
                self.add(what, base64.urlsafe_b64encode(beginning)[:whole].decode())
        for first_line in _PRIVATE_KEYS:
            self.add("a private key", first_line)

    def add(self, what: str, secret: str) -> None:
        """Look for a secret."""
        if len(secret) >= SHORTEST:
            for form, needle in forms(secret.encode()):
                self._named.setdefault(needle, f"{what} {form}")

    def add_key(self, what: str, key: str) -> None:
        """Look for a key that is written down in base64, and for its bytes."""
        self.add(what, key)
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            return
        if len(raw) >= SHORTEST:
            self._named.setdefault(raw, f"{what} decoded")
            self._named.setdefault(raw.hex().encode(), f"{what} decoded, in hexadecimal")

    def add_url(self, what: str, url: str) -> None:
        """Look for the password of an address."""
        password = urlsplit(url).password
        if password:
            self.add(what, password)
            self.add(what, unquote(password))

    def add_token(self, token: str) -> None:
        """Look for the signature of a token; how it begins is looked for anyway."""
        self._ends.add(token.rpartition(".")[2][:PREFIX].encode())

    def found(self, content: bytes) -> Iterator[tuple[str, int]]:
        """Yield what stands in the content, and where."""
        for needle, what in self._named.items():
            at = content.find(needle)
            if at >= 0:
                yield what, at
        if self._ends:
            for word in _WORD.finditer(content):
                if word[0][:PREFIX] in self._ends:
                    yield "a token's signature", word.start()


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the forms in which a text may stand somewhere, cut to its first characters."""
    cut = secret[:PREFIX]
    yield "as it is", cut
    yield "in hexadecimal", cut.hex().encode()
    yield "escaped for a URL", quote(cut, safe="").encode()
    yield "escaped for JSON", json.dumps(cut.decode()).strip('"').encode()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + cut)
        # What the neighbours of the text could change is left out, on both sides.
        begin, end = (0, 2, 3)[shift], len(whole) - (0, 3, 2)[-(shift + len(cut)) % 3] - 1
        yield f"in base64 (alignment {shift})", whole[begin:end].rstrip(b"=")
        yield (
            f"in base64 for URLs (alignment {shift})",
            base64.urlsafe_b64encode(b"\0" * shift + cut)[begin:end].rstrip(b"="),
        )
