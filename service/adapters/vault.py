"""Seals what must not lie open, and makes fingerprints of access tokens.

A sealed value opens only as what it was sealed as: another user's, generation's or column's does not.
Must import nothing of this program but the broker's words; where keys come from is not its business.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.broker.errors import SealBroken, SealKeyMissing
from service.broker.model import Fingerprint

if TYPE_CHECKING:
    from service.broker.ports import KeyProvider, Keys, Observer

VERSION = b"v1"
NONCE_BYTES = 12
LONGEST_KEY_ID = 64
_BLOCK = 64
_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))
_ALTERED = "A stored secret was altered or belongs to another row."


class Vault:
    """AES-256-GCM under a key ring; a sealed value is `v1.<key id>.<nonce><ciphertext>`."""

    def __init__(self, keys: Keys) -> None:
        """Seal with the first key, open with all."""
        self._sealed: Counter[str] = Counter()
        self.reload(keys)

    @classmethod
    def on(cls, provider: KeyProvider) -> Vault:
        """Return a vault that has the provider's keys, now and as they change."""
        vault = cls(provider.value)
        provider.follow(vault.reload)
        return vault

    def reload(self, keys: Keys) -> None:
        """Take another ring; what was sealed under a key that is no longer in it stays shut."""
        ring = {key_id.encode(): AESGCM(key) for key_id, key in keys}
        first = keys[0][0]
        # One assignment, so that a seal in another thread never meets half a ring.
        self._ring = (first, b"%b.%b." % (VERSION, first.encode()), ring[first.encode()], ring)

    @property
    def writes_with(self) -> str:
        """The id of the key that seals."""
        return self._ring[0]

    def holds(self, key_id: str) -> bool:
        """Whether what was sealed under this key can be opened."""
        return key_id.encode() in self._ring[3]

    async def report(self, observer: Observer) -> None:
        """Tell how many values each key has sealed since this was last told: a key wears out."""
        counts, self._sealed = self._sealed, Counter()
        for key_id, count in counts.items():
            observer.note("vault.sealed", key_id=key_id, count=count)

    def seal(self, plaintext: str, *, client: str, user_id: str, generation: int, column: str) -> bytes:
        """Return the text sealed as what the four names say."""
        key_id, prefix, key, _ = self._ring
        # A random nonce is safe for 2^32 seals under one key (NIST SP 800-38D, 8.3): they are counted.
        self._sealed[key_id] += 1
        nonce = os.urandom(NONCE_BYTES)
        name = bound_to(client, user_id, generation, column)
        return prefix + nonce + key.encrypt(nonce, _encode(plaintext), name)

    def open(self, sealed: bytes, *, client: str, user_id: str, generation: int, column: str) -> str:
        """Return the text; SealBroken unless it was sealed as exactly this and is whole."""
        try:
            text = self.opened(sealed, bound_to(client, user_id, generation, column))
            return text.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise SealBroken(_ALTERED) from None

    def opened(self, sealed: bytes, name: bytes) -> bytes:
        """Return what `open` returns, as bytes; `name` is what `bound_to` returns."""
        _, prefix, key, ring = self._ring
        sealed, begin = bytes(sealed), len(prefix)
        if not sealed.startswith(prefix):
            key_id, begin = _key_of(sealed)
            if key_id not in ring:
                raise SealKeyMissing
            key = ring[key_id]
        end = begin + NONCE_BYTES
        try:
            return key.decrypt(sealed[begin:end], sealed[end:], name)
        except (InvalidTag, ValueError):
            raise SealBroken(_ALTERED) from None


def key_id_of(sealed: bytes) -> str:
    """Return the id of the key that sealed this, without opening it; SealBroken when it is no seal."""
    return _key_of(sealed)[0].decode("ascii", "replace")


def _key_of(sealed: bytes) -> tuple[bytes, int]:
    """Return (key id, where the nonce begins)."""
    version, _, rest = bytes(sealed[: LONGEST_KEY_ID + len(VERSION) + 2]).partition(b".")
    key_id, dot, _ = rest.partition(b".")
    if version != VERSION or not key_id or not dot:
        raise SealBroken("A stored secret is not in the form that the broker writes.")
    return key_id, len(VERSION) + len(key_id) + 2


def bound_to(client: str, user_id: str, generation: int, column: str) -> bytes:
    """Name what a value is sealed as; with each part's length before it no two names are alike."""
    return _encode(f"v1|{len(client)}:{client}|{len(user_id)}:{user_id}|{generation}|{len(column)}:{column}")


def _encode(text: str) -> bytes:
    """Encode any string there is, lone surrogates too, so that no input can raise."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class FingerprintRing:
    """HMAC-SHA-256 under a key ring: implements the port `Fingerprints`."""

    def __init__(self, keys: Keys) -> None:
        """Write with the first key, look up with all."""
        self.reload(keys)

    def reload(self, keys: Keys) -> None:
        """Take another ring; tokens noted under a key that is no longer in it are unknown."""
        self._ring = tuple((key_id, *_keyed(key)) for key_id, key in keys)

    def of(self, access_token: str) -> tuple[Fingerprint, ...]:
        """Return the token's fingerprints, the one under the writing key first."""
        token, ring = _encode(access_token), self._ring
        if len(ring) == 1:  # as it nearly always is
            key_id, inner, outer = ring[0]
            return (Fingerprint(key_id, _mac(inner, outer, token)),)
        return tuple([Fingerprint(key_id, _mac(inner, outer, token)) for key_id, inner, outer in ring])


def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the two hashes of an HMAC (RFC 2104) with the key taken in, which is half of the work.

    The standard library's `hmac` can be copied as well, at twice the price.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def _mac(inner: hashlib._Hash, outer: hashlib._Hash, message: bytes) -> bytes:
    """Return the MAC of the message under a key already taken in."""
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()
