"""Keys, agreement and signatures."""

from __future__ import annotations

import pytest

from tests.support.signal_peers import Entropy
from tocsin.signal.curve import (
    KeyPair,
    agree,
    clamp,
    decode_point,
    encode_point,
    key_pair,
    sign,
    verify,
)
from tocsin.signal.errors import BadSignature, InvalidKey

LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def test_a_private_key_is_clamped_once_and_for_all() -> None:
    pair = key_pair(b"\xff" * 32)
    assert (pair.private[0], pair.private[31]) == (0xF8, 0x7F)
    assert key_pair(pair.private) == pair


def test_a_pair_hides_itself() -> None:
    assert repr(KeyPair(b"p" * 32, b"q" * 32)) == "KeyPair(<hidden>)"


@pytest.mark.parametrize("public", LOW_ORDER)
def test_no_agreement_with_a_point_of_low_order(public: str) -> None:
    with pytest.raises(InvalidKey):
        agree(key_pair(b"s" * 32).private, bytes.fromhex(public))


def test_keys_of_another_length_are_invalid() -> None:
    for length in (0, 31, 33):
        with pytest.raises(InvalidKey):
            clamp(bytes(length))
        with pytest.raises(InvalidKey):
            agree(clamp(bytes(32)), bytes(length))
        with pytest.raises(InvalidKey):
            decode_point(bytes(length))


def test_a_point_has_its_type_byte_on_the_wire_only() -> None:
    assert decode_point(encode_point(b"u" * 32)) == b"u" * 32
    with pytest.raises(InvalidKey):
        decode_point(b"\x04" + b"u" * 32)


def test_signatures_of_many_keys_verify_and_no_bit_of_them_may_change() -> None:
    entropy = Entropy("signatures")
    for _ in range(20):
        pair, message = key_pair(entropy(32)), entropy(50)
        verify(pair.public, message, sign(pair.private, message, entropy(64)))
    signature = sign(pair.private, message, entropy(64))
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            verify(pair.public, message, bytes(changed))


def test_a_key_without_an_edwards_form_verifies_nothing() -> None:
    minus_one = (2**255 - 20).to_bytes(32, "little")
    with pytest.raises(BadSignature):
        verify(minus_one, b"message", bytes(64))


def test_a_signature_needs_its_entropy() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        sign(key_pair(bytes(32)).private, b"message", b"")
