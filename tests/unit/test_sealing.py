"""Sealing: bound to its place, refused when anything about it is different."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.sealing import (
    SALT_BYTES,
    DamagedRecord,
    Place,
    RecordSealer,
    Sealer,
    derive_key,
    masked,
)

PLACE = Place("session#a.1#1@lid", "outbound", "chain#0", b"tag")
SECRET = '{"id": "k1", "key": "0123456789abcdef0123456789abcdef"}'


@pytest.fixture
def sealer() -> Sealer:
    return Sealer.from_secret(SECRET)


def test_what_was_sealed_comes_back(sealer: Sealer) -> None:
    sealed = sealer.seal(b"chain key", PLACE, bytes(12))
    assert sealer.unseal(sealed, PLACE) == b"chain key"
    assert b"chain key" not in sealed
    assert len(sealed) == len(b"chain key") + 31


@pytest.mark.parametrize(
    "place",
    [
        Place("session#a.1#2@lid", "outbound", "chain#0", b"tag"),
        Place("session#a.1#1@lid", "inbound#0", "chain#0", b"tag"),
        Place("session#a.1#1@lid", "outbound", "chain#1", b"tag"),
        Place("session#a.1#1@lid", "outbound", "chain#0", b"other"),
        Place("session#a.1#1@lid", "outbound", "chain#0tag", b""),
        Place("session#a.1#1@lidoutbound", "", "chain#0", b"tag"),
    ],
)
def test_in_another_place_it_is_refused(sealer: Sealer, place: Place) -> None:
    sealed = sealer.seal(b"chain key", PLACE, bytes(12))
    with pytest.raises(DamagedRecord):
        sealer.unseal(sealed, place)


def test_any_changed_bit_and_any_cut_is_refused(sealer: Sealer) -> None:
    sealed = sealer.seal(b"x", PLACE, bytes(12))
    changed = [
        sealed[:byte] + bytes([sealed[byte] ^ 1 << bit]) + sealed[byte + 1 :]
        for byte in range(len(sealed))
        for bit in range(8)
    ]
    for broken in [*changed, *(sealed[:end] for end in range(len(sealed))), sealed + b"\0", None, "text", 7]:
        with pytest.raises(DamagedRecord):
            sealer.unseal(broken, PLACE)


def test_a_key_that_is_not_in_the_secret(sealer: Sealer) -> None:
    other = Sealer.from_secret(SECRET.replace("k1", "k2"))
    with pytest.raises(DamagedRecord):
        other.unseal(sealer.seal(b"x", PLACE, bytes(12)), PLACE)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"id": "k1"}',
        '{"id": "k1", "key": "short"}',
        '{"current": "k9", "keys": {"k1": "0123456789abcdef0123456789abcdef"}}',
        '{"current": "k1", "keys": []}',
        '{"id": "", "key": "0123456789abcdef0123456789abcdef"}',
    ],
)
def test_an_unusable_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="seal") as caught:
        Sealer.from_secret(secret)
    assert "0123456789" not in str(caught.value)


def test_a_damaged_record_is_named_without_the_whole_number() -> None:
    damaged = DamagedRecord("session#a.1#6281234567890@s.whatsapp.net", "inbound#0", "states")
    assert str(damaged) == "damaged record: session#a.1#6281…90@s.whatsapp.net / inbound#0 / states"


@pytest.mark.parametrize(
    ("key", "shown"), [("", ""), ("1234567", "1234567"), ("12345678", "1234…78"), ("a123456789", "a1234…89")]
)
def test_numbers_are_masked(key: str, shown: str) -> None:
    assert masked(key) == shown


# -- a key for each record ---------------------------------------------------------------------------------

SALT = bytes(range(SALT_BYTES))


@pytest.fixture
def records() -> RecordSealer:
    return RecordSealer.from_secret(SECRET)


def test_a_record_is_opened_by_whoever_follows_the_drawing(records: RecordSealer) -> None:
    """Only hmac and AES-GCM, in the words of RFC 5869 and of the class."""
    sealed = records.seal(b"Halo", PLACE, SALT)
    pseudorandom = hmac.digest(SALT, derive_key(json.loads(SECRET)["key"]), sha256)
    key = hmac.digest(pseudorandom, b"tocsin record key\x00" + b"\x01", sha256)
    assert sealed[: 3 + SALT_BYTES] == b"\x02k1" + SALT
    assert AESGCM(key).decrypt(bytes(12), sealed[3 + SALT_BYTES :], PLACE.associated_data()) == b"Halo"


def test_each_record_has_a_key_of_its_own(records: RecordSealer) -> None:
    other = bytes(SALT_BYTES)
    first, second = records.seal(bytes(32), PLACE, SALT), records.seal(bytes(32), PLACE, other)
    swapped = first[: 3 + SALT_BYTES] + second[3 + SALT_BYTES :]
    assert first[3 + SALT_BYTES :] != second[3 + SALT_BYTES :]
    with pytest.raises(DamagedRecord):
        records.unseal(swapped, PLACE)


def test_a_record_in_another_place_changed_or_cut_is_refused(records: RecordSealer) -> None:
    sealed = records.seal(b"Halo", PLACE, SALT)
    assert records.unseal(sealed, PLACE) == b"Halo"
    with pytest.raises(DamagedRecord):
        records.unseal(sealed, Place(PLACE.pk, PLACE.sk, PLACE.attribute, b"another"))
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for broken in [*changed, *(sealed[:end] for end in range(len(sealed))), sealed + b"\0", None, "text", 7]:
        with pytest.raises(DamagedRecord):
            records.unseal(broken, PLACE)


def test_an_earlier_key_still_opens_after_a_new_one_was_introduced(records: RecordSealer) -> None:
    old, new = json.loads(SECRET)["key"], "f" * 32
    rotated = RecordSealer.from_secret(json.dumps({"current": "k2", "keys": {"k1": old, "k2": new}}))
    assert rotated.unseal(records.seal(b"Halo", PLACE, SALT), PLACE) == b"Halo"
    with pytest.raises(DamagedRecord):
        records.unseal(rotated.seal(b"Halo", PLACE, SALT), PLACE)


def test_one_secret_for_both_would_still_be_two_keys(records: RecordSealer, sealer: Sealer) -> None:
    with pytest.raises(DamagedRecord):
        sealer.unseal(records.seal(b"Halo", PLACE, SALT), PLACE)


def test_a_sealer_of_records_shows_no_key(records: RecordSealer) -> None:
    assert repr(records) == "RecordSealer(current='k1')"
