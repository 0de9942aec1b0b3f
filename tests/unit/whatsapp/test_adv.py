"""Who vouches for a companion: its phone's signature and its own, and the list of those that still count."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.whatsapp import adv
from tocsin.whatsapp.adv import MAX_IDENTITY_BYTES, KeyIndexes, Voucher
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentity, SignedKeyIndexList
from tocsin_whatsapp_server.pairing import device_identity, key_index_list

PHONE, COMPANION, MALLORY = (key_pair(bytes([number]) * 32) for number in (1, 2, 3))
NOW = 1_790_000_000


def vouched(
    phone: KeyPair = PHONE, *, companion: KeyPair = COMPANION, key_index: int = 3, hosted: bool = False
) -> bytes:
    return device_identity(phone, companion, key_index=key_index, now=NOW, random=os.urandom, hosted=hosted)


def listed(*indexes: int, current: int = 5, phone: KeyPair = PHONE) -> KeyIndexes:
    return KeyIndexes(key_index_list(phone, indexes, current=current, now=NOW, random=os.urandom))


def vouches(content: bytes, counting: KeyIndexes | None = None) -> bool:
    return Voucher(content, counting).vouches(COMPANION.public, PHONE.public)


def changed(content: bytes, **fields: Any) -> bytes:
    signed = SignedDeviceIdentity.FromString(content)
    for name, value in fields.items():
        setattr(signed, name, value)
    return signed.SerializeToString()


@pytest.mark.parametrize("hosted", [False, True])
def test_the_phone_s_companion_is_vouched_for(hosted: bool) -> None:
    assert vouches(vouched(hosted=hosted))


def test_the_server_may_leave_out_the_phone_s_key_and_the_companion_s_signature() -> None:
    assert vouches(changed(vouched(), account_signature_key=b"", device_signature=b""))


def test_a_hosted_companion_may_sign_as_ordinary_ones_do() -> None:
    hosted = vouched(hosted=True)
    details = SignedDeviceIdentity.FromString(hosted).details
    statement = adv.DEVICE + details + COMPANION.public + PHONE.public
    signature = adv_sign(COMPANION, statement)
    assert vouches(changed(hosted, device_signature=signature))


def adv_sign(pair: KeyPair, text: bytes) -> bytes:
    from tocsin.signal.curve import sign

    return sign(pair.private, text, os.urandom(64))


@pytest.mark.parametrize(
    "content",
    [
        vouched(MALLORY),
        changed(vouched(MALLORY), account_signature_key=PHONE.public),
        changed(vouched(MALLORY), account_signature_key=b""),
        vouched(companion=MALLORY),
        changed(vouched(), account_signature_key=MALLORY.public),
        changed(vouched(), device_signature=bytes(64)),
        changed(vouched(), account_signature=bytes(64)),
        changed(vouched(), account_signature=b""),
        changed(vouched(), details=SignedDeviceIdentity.FromString(vouched(hosted=True)).details),
        changed(vouched(), details=b"\xff"),
        b"\xff",
        b"",
        vouched() + bytes(MAX_IDENTITY_BYTES),
    ],
    ids=[
        "another phone's",
        "another phone's under the name of ours",
        "another phone's without a name",
        "another companion's",
        "another phone's name beside it",
        "an empty device signature",
        "an empty account signature",
        "no account signature",
        "hosted details",
        "malformed details",
        "malformed",
        "nothing",
        "too long",
    ],
)
def test_nobody_else_is(content: bytes) -> None:
    assert not vouches(content)


def test_the_signature_for_a_device_is_not_one_for_its_phone_s_list() -> None:
    """Each signed text has a prefix of its own, so that none passes for another."""
    assert len({adv.ACCOUNT, adv.DEVICE, adv.KEY_INDEXES, adv.ACCOUNT_HOSTED, adv.DEVICE_HOSTED}) == 5
    signed = SignedDeviceIdentity.FromString(vouched())
    taken_for_a_list = SignedKeyIndexList(
        details=signed.details + COMPANION.public, account_signature=signed.account_signature
    )
    assert not KeyIndexes(taken_for_a_list.SerializeToString()).is_signed_by(PHONE.public)


# -- the list of those that still count -------------------------------------------------------------------


@pytest.mark.parametrize(("key_index", "counts"), [(3, True), (2, False), (5, False), (6, True)])
def test_a_companion_counts_while_it_is_listed_or_newer_than_the_list(key_index: int, counts: bool) -> None:
    assert listed(3, current=5).hold(key_index, PHONE.public) is counts
    assert vouches(vouched(key_index=key_index), listed(3, current=5)) is counts


def test_a_list_that_another_phone_signed_counts_nobody() -> None:
    foreign = listed(3, phone=MALLORY)
    assert not foreign.is_signed_by(PHONE.public)
    assert not vouches(vouched(), foreign)


@pytest.mark.parametrize("content", [b"", b"\xff", bytes(9000)])
def test_what_is_no_list_counts_nobody(content: bytes) -> None:
    assert not vouches(vouched(), KeyIndexes(content))


# -- whatever else may come ------------------------------------------------------------------------------

GOOD = vouched()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(place: int, by: int) -> None:
    """But for those that say nothing: a field under another number counts as left out."""
    content = GOOD[:place] + bytes([GOOD[place] ^ by]) + GOOD[place + 1 :]
    if vouches(content):
        read = SignedDeviceIdentity.FromString(content)
        good = SignedDeviceIdentity.FromString(GOOD)
        assert (read.details, read.account_signature) == (good.details, good.account_signature)
        assert read.account_signature_key in (b"", PHONE.public)
        assert read.device_signature in (b"", good.device_signature)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_vouch_for_nobody(content: bytes) -> None:
    assert not vouches(content)
    assert not vouches(GOOD, KeyIndexes(content))
