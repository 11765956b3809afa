"""How cached answers are written down: sealed, bound to their user or to the token they answer.

Ids never stand raw in a key or a value; a value that was moved to another key does not open there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from service.adapters.vault import bound_to
from service.broker.errors import SealBroken
from service.broker.model import Binding, CurrentToken, Fingerprint, LineageEntry, UserKey

_TOKEN_COLUMN = "redis.token"
_USER_COLUMN = "redis.user"
_DIGEST_BYTES = 32
_new = tuple.__new__
"""Makes a named tuple: called by its name that takes twice as long, and each answer needs four."""
_OTHERS_FORM = (KeyError, TypeError, ValueError)
_OF_ANOTHER_RELEASE = "A cached value has the form of another release."
"""What another release has sealed in another form counts as what does not open: it is a miss."""


class Vault(Protocol):
    """Seals text so that it opens only for the same client, user, generation and column."""

    def seal(self, plaintext: str, *, client: str, user_id: str, generation: int, column: str) -> bytes:
        """Return the sealed text."""

    def opened(self, sealed: bytes, name: bytes) -> bytes:
        """Return the text's bytes; raises SealBroken when it was not sealed as what `bound_to` names."""


def hashed(key: UserKey) -> str:
    """Return what stands for a user in key names: 32 hexadecimal digits."""
    name = f"{len(key.client)}:{key.client}{key.user_id}".encode("utf-8", "surrogatepass")
    return blake2b(name, digest_size=16).hexdigest()


def name_of_user(key: UserKey) -> str:
    """Return the key that holds the user's current token."""
    return f"tb:u:{hashed(key)}"


def name_of_block(key: UserKey) -> str:
    """Return the key that says which generations of the user are refused."""
    return f"tb:x:{hashed(key)}"


def name_of_confirmation(key: UserKey) -> str:
    """Return the key that says which generation upstream has just confirmed."""
    return f"tb:c:{hashed(key)}"


def name_of_token(fingerprint: Fingerprint) -> str:
    """Return the key that says whose token this is."""
    return f"tb:t:{fingerprint.digest.hex()}:{fingerprint.key_id}"


@dataclass(frozen=True, slots=True)
class Values:
    """Writes and reads the sealed values; reading raises SealBroken for whatever was not written so."""

    vault: Vault

    def write_user(self, current: CurrentToken) -> bytes:
        """Return a user's current token as it is kept."""
        fields = {
            "upstream_id": current.upstream_id,
            "access_token": current.access_token,
            "issued_at": current.issued_at,
            "expires_at": current.expires_at,
            "refresh_at": current.refresh_at,
            "vouched_at": current.binding.vouched_at,
            "refreshed_at": current.binding.refreshed_at,
            "not_before_generation": current.not_before_generation,
        }
        key = current.key
        return self.vault.seal(
            orjson.dumps(fields).decode(),
            client=key.client,
            user_id=key.user_id,
            generation=current.generation,
            column=_USER_COLUMN,
        )

    def read_user(self, key: UserKey, value: bytes) -> CurrentToken:
        """Read `<generation>:<round>:<sealed>`."""
        try:
            digits, _, sealed = value.split(b":", 2)
            generation = int(digits)
        except ValueError:
            raise SealBroken from None
        text = self.vault.opened(sealed, bound_to(key.client, key.user_id, generation, _USER_COLUMN))
        try:
            return _current(key, generation, orjson.loads(text))
        except _OTHERS_FORM as error:
            raise SealBroken(_OF_ANOTHER_RELEASE) from error

    def write_token(self, fingerprint: Fingerprint, entry: LineageEntry) -> bytes:
        """Return whose token this is, as it is kept: sealed for its fingerprint."""
        fields = [entry.key.client, entry.key.user_id, entry.generation, entry.counts_until]
        stand_in = _in_place_of_a_user(fingerprint.key_id, fingerprint.digest)
        text = orjson.dumps(fields).decode()
        return self.vault.seal(text, client="", user_id=stand_in, generation=0, column=_TOKEN_COLUMN)

    def read_token(self, fingerprint: Fingerprint, value: bytes) -> LineageEntry:
        """Read `<round>:<hashed user>:<sealed>`."""
        try:
            _, _, sealed = value.split(b":", 2)
        except ValueError:
            raise SealBroken from None
        front, back = _around_digest(fingerprint.key_id)
        text = self.vault.opened(sealed, b"%b%b%b" % (front, fingerprint.digest.hex().encode(), back))
        try:
            client, user_id, generation, counts_until = orjson.loads(text)
            key = _new(UserKey, (client, user_id))
            return _new(LineageEntry, (key, generation, datetime.fromisoformat(counts_until)))
        except _OTHERS_FORM as error:
            raise SealBroken(_OF_ANOTHER_RELEASE) from error


def _in_place_of_a_user(key_id: str, digest: bytes) -> str:
    """Whose a token is shows only once it is open, so the fingerprint stands where a user would."""
    return f"{key_id}:{digest.hex()}"


@lru_cache(maxsize=16)
def _around_digest(key_id: str) -> tuple[bytes, bytes]:
    """Return what stands before and after the digest in the name that a token's value is sealed as."""
    any_digest = bytes(_DIGEST_BYTES)
    name = bound_to("", _in_place_of_a_user(key_id, any_digest), 0, _TOKEN_COLUMN)
    front, _, back = name.rpartition(any_digest.hex().encode())
    return front, back


def _current(key: UserKey, generation: int, fields: Mapping[str, Any]) -> CurrentToken:
    instant, refreshed_at = datetime.fromisoformat, fields["refreshed_at"]
    seen = (instant(fields["vouched_at"]), instant(refreshed_at) if refreshed_at else None)
    return _new(
        CurrentToken,
        (
            key,
            fields["upstream_id"],
            generation,
            fields["access_token"],
            instant(fields["issued_at"]),
            instant(fields["expires_at"]),
            instant(fields["refresh_at"]),
            _new(Binding, seen),
            fields["not_before_generation"],
        ),
    )
