"""What is sealed opens as itself and as nothing else; fingerprints are the HMACs they claim to be."""

import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.adapters.vault import FingerprintRing, Vault, key_id_of
from service.broker.errors import SealBroken
from service.broker.model import Fingerprint
from tests.support.cached import Notes

NEW, OLD = ("new", b"n" * 32), ("old", b"o" * 32)
VAULT = Vault([NEW, OLD])
FINGERPRINTS = FingerprintRing([NEW, OLD])
PLACE = {"client": "acme", "user_id": "u-1", "generation": 7, "column": "access_token"}

ANY_TEXT = st.text(st.characters(codec=None))
NAMES = st.text(alphabet="ab|:1", max_size=6)
PLACES = st.fixed_dictionaries(
    {"client": NAMES, "user_id": NAMES, "generation": st.integers(-2, 2**70), "column": NAMES}
)


@given(ANY_TEXT, PLACES)
def test_what_was_sealed_opens_in_its_place(text, place):
    assert VAULT.open(VAULT.seal(text, **place), **place) == text


@given(PLACES, PLACES)
def test_what_was_sealed_opens_in_no_other_place(place, other):
    assume(place != other)
    with pytest.raises(SealBroken, match="belongs to another row"):
        VAULT.open(VAULT.seal("token", **place), **other)


@pytest.mark.parametrize(
    "moved",
    [
        {"client": "beta"},
        {"user_id": "u-2"},
        {"generation": 8},
        {"column": "refresh_token"},
        {"client": "acm", "user_id": "eu-1"},
        {"client": "u-1", "user_id": "acme"},
    ],
)
def test_a_value_moved_to_another_row_or_column_stays_shut(moved):
    with pytest.raises(SealBroken):
        VAULT.open(VAULT.seal("token", **PLACE), **{**PLACE, **moved})


@given(st.data())
def test_a_value_with_any_bit_changed_stays_shut(data):
    sealed = bytearray(VAULT.seal("token", **PLACE))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        VAULT.open(bytes(sealed), **PLACE)


@given(st.integers(0, 40))
def test_a_value_cut_short_stays_shut(length):
    sealed = VAULT.seal("a token long enough to be cut", **PLACE)
    with pytest.raises(SealBroken):
        VAULT.open(sealed[:length], **PLACE)


@given(st.binary())
def test_bytes_that_are_no_seal_are_refused(noise):
    with pytest.raises(SealBroken):
        VAULT.open(b"v1.new." + noise, **PLACE)
    with pytest.raises(SealBroken):
        VAULT.open(noise, **PLACE)


def test_a_swapped_key_id_does_not_help():
    sealed = VAULT.seal("token", **PLACE)
    with pytest.raises(SealBroken):
        VAULT.open(sealed.replace(b"v1.new.", b"v1.old."), **PLACE)


def test_the_first_key_seals_and_its_id_can_be_read():
    sealed = VAULT.seal("token", **PLACE)
    assert sealed.startswith(b"v1.new.")
    assert (key_id_of(sealed), VAULT.writes_with) == ("new", "new")


def test_every_key_of_the_ring_opens():
    assert VAULT.open(Vault([OLD]).seal("token", **PLACE), **PLACE) == "token"


def test_a_key_that_left_the_ring_is_named_as_the_reason():
    with pytest.raises(SealBroken, match="not in ENCRYPTION_KEYS"):
        Vault([OLD]).open(VAULT.seal("token", **PLACE), **PLACE)


def test_a_ring_can_be_changed_while_running():
    vault = Vault([OLD])
    before = vault.seal("token", **PLACE)
    vault.reload([NEW, OLD])
    assert key_id_of(vault.seal("token", **PLACE)) == "new"
    assert vault.open(before, **PLACE) == "token"


@pytest.mark.parametrize("noise", [b"", b"v1", b"v1.", b"v1..x", b"v2.new.x", b"v1.new", b"x" * 99])
def test_what_is_no_seal_has_no_key_id(noise):
    with pytest.raises(SealBroken, match="not in the form"):
        key_id_of(noise)


def test_no_two_seals_are_alike():
    assert len({VAULT.seal("token", **PLACE) for _ in range(100)}) == 100


def test_a_seal_opens_from_what_the_database_returns():
    assert VAULT.open(memoryview(VAULT.seal("token", **PLACE)), **PLACE) == "token"


@given(st.text(min_size=8))
def test_a_broken_seal_says_nothing_of_its_content(text):
    with pytest.raises(SealBroken) as broken:
        VAULT.open(VAULT.seal(f"5ecret{text}", **PLACE), **{**PLACE, "generation": 8})
    assert "5ecret" not in str(broken.value)
    assert broken.value.__suppress_context__


def test_a_fingerprint_is_the_hmac_under_each_key_the_writing_one_first():
    expected = tuple(
        Fingerprint(key_id, hmac.digest(key, b"a.b.c", hashlib.sha256)) for key_id, key in (NEW, OLD)
    )
    assert FINGERPRINTS.of("a.b.c") == expected


@given(ANY_TEXT)
def test_anything_has_a_fingerprint_and_always_the_same(text):
    assert FINGERPRINTS.of(text) == FINGERPRINTS.of(text)
    assert [len(fingerprint.digest) for fingerprint in FINGERPRINTS.of(text)] == [32, 32]


@given(ANY_TEXT, ANY_TEXT)
def test_different_tokens_have_different_fingerprints(one, other):
    assume(one != other)
    assert FINGERPRINTS.of(one) != FINGERPRINTS.of(other)


def test_a_fingerprint_ring_can_be_changed_while_running():
    ring = FingerprintRing([OLD])
    (before,) = ring.of("token")
    ring.reload([NEW, OLD])
    assert [fingerprint.key_id for fingerprint in ring.of("token")] == ["new", "old"]
    assert before in ring.of("token")


class KeyService:
    """A provider of keys that is no setting: somebody else says when the ring changes."""

    def __init__(self, *keys):
        self.value = keys
        self._takers = []

    def follow(self, take):
        self._takers.append(take)

    def change(self, *keys):
        self.value = keys
        for take in self._takers:
            take(keys)


def test_keys_may_come_from_any_provider_and_change_there():
    service = KeyService(OLD)
    vault = Vault.on(service)
    sealed = vault.seal("token", **PLACE)
    service.change(NEW, OLD)
    assert vault.writes_with == "new"
    assert vault.open(sealed, **PLACE) == "token"


async def test_what_each_key_has_sealed_is_told_once():
    notes, vault = Notes(), Vault([OLD])
    for ring in ([OLD], [OLD], [NEW, OLD]):
        vault.reload(ring)
        vault.seal("token", **PLACE)
    for _ in range(2):
        await vault.report(notes)
    told = [(event, facts) for event, _, facts in notes.heard]
    assert told == [
        ("vault.sealed", {"key_id": "old", "count": 2}),
        ("vault.sealed", {"key_id": "new", "count": 1}),
    ]
