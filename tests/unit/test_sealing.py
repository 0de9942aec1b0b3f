"""Sealing: bound to its place, refused when anything about it is different."""

from __future__ import annotations

import pytest

from tocsin.sealing import DamagedRecord, Place, Sealer, masked

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
