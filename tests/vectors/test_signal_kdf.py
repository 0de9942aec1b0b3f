"""The building blocks of the Signal layer, each value for itself."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tocsin.signal import cipher, kdf, padding, session, wire
from tocsin.signal.curve import agree, decode_point, key_pair, sign, verify
from tocsin.signal.errors import BadSignature
from tocsin.signal.ratchet import message_mac
from tocsin.signal.state import SendingChain

VECTORS = load("signal-kdf")


def point(text: str) -> bytes:
    return decode_point(unhex(text))


@pytest.mark.parametrize("case", VECTORS["key_pairs"], ids=by_name)
def test_key_pair(case: dict[str, Any]) -> None:
    made = key_pair(unhex(case["seed"]))
    assert (made.private, made.public) == (unhex(case["priv_clamped"]), point(case["pub"]))


@pytest.mark.parametrize("case", VECTORS["agreements"], ids=by_name)
def test_agreement(case: dict[str, Any]) -> None:
    secret = unhex(case["secret"])
    assert agree(unhex(case["a_priv"]), point(case["b_pub"])) == secret
    assert agree(unhex(case["b_priv"]), point(case["a_pub"])) == secret


@pytest.mark.parametrize("length", [1, 32, 64, 80, 96])
@pytest.mark.parametrize("case", VECTORS["hkdf"], ids=by_name)
def test_hkdf(case: dict[str, Any], length: int) -> None:
    okm = kdf.hkdf(unhex(case["ikm"]), length, salt=unhex(case["salt"]), info=case["info"].encode())
    assert okm == unhex(case["okm96"])[:length]


@pytest.mark.parametrize("case", VECTORS["master_secrets"], ids=by_name)
def test_session_keys(case: dict[str, Any]) -> None:
    keys = kdf.session_keys(b"".join(map(unhex, case["agreements"])))
    assert keys == (unhex(case["root_key"]), unhex(case["chain_key"]))


@pytest.mark.parametrize("case", VECTORS["root_steps"], ids=by_name)
def test_root_step(case: dict[str, Any]) -> None:
    agreement = agree(unhex(case["our_ratchet_priv"]), point(case["their_ratchet_pub"]))
    assert agreement == unhex(case["agreement"])
    keys = kdf.root_step(unhex(case["root_key"]), agreement)
    assert keys == (unhex(case["new_root_key"]), unhex(case["chain_key"]))


@pytest.mark.parametrize("case", VECTORS["chain_steps"], ids=by_name)
def test_chain_step(case: dict[str, Any]) -> None:
    chain_key = unhex(case["chain_key"])
    assert kdf.message_seed(chain_key) == unhex(case["message_seed"])
    assert kdf.advance(chain_key, 1) == unhex(case["next_chain_key"])
    keys = kdf.message_keys(unhex(case["message_seed"]))
    assert keys == (unhex(case["cipher_key"]), unhex(case["mac_key"]), unhex(case["iv"]))


@pytest.mark.parametrize("case", VECTORS["messages"], ids=by_name)
def test_whole_message(case: dict[str, Any]) -> None:
    cipher_key, mac_key, iv = kdf.message_keys(unhex(case["message_seed"]))
    ciphertext = cipher.encrypt(cipher_key, iv, unhex(case["plaintext"]))
    assert ciphertext == unhex(case["ciphertext_cbc"])
    assert cipher.decrypt(cipher_key, iv, ciphertext) == unhex(case["plaintext"])
    signed = wire.encode_signal_message(
        point(case["ratchet_pub"]), case["counter"], case["previous_counter"], ciphertext
    )
    sender, receiver = point(case["sender_identity_pub"]), point(case["receiver_identity_pub"])
    mac = message_mac(mac_key, sender, receiver, signed)
    assert mac == unhex(case["full_mac"])[:8]
    assert signed + mac == unhex(case["message"])
    message = wire.parse_signal_message(unhex(case["message"]))
    assert message == wire.SignalMessage(
        point(case["ratchet_pub"]), case["counter"], case["previous_counter"], ciphertext, signed, mac
    )


@pytest.mark.parametrize("case", VECTORS["group_message_keys"], ids=by_name)
def test_group_message_keys(case: dict[str, Any]) -> None:
    keys = kdf.group_message_keys(unhex(case["message_seed"]))
    assert keys == (unhex(case["cipher_key"]), unhex(case["iv"]))


@pytest.mark.parametrize("case", VECTORS["signatures"], ids=by_name)
def test_signature(case: dict[str, Any]) -> None:
    message = unhex(case["message"])
    signature = sign(unhex(case["priv"]), message, unhex(case["random_z"]))
    assert signature == unhex(case["signature"])
    assert signature[63] >> 7 == case["sign_bit"]
    verify(point(case["pub"]), message, signature)
    verify(point(case["pub"]), message, unhex(case["signature_without_z"]))


@pytest.mark.parametrize("case", VECTORS["signatures_bad"], ids=by_name)
def test_bad_signature(case: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        verify(point(case["pub"]), unhex(case["message"]), unhex(case["signature"]))


@pytest.mark.parametrize("case", VECTORS["padding"], ids=by_name)
def test_padding(case: dict[str, Any]) -> None:
    plain, padded = unhex(case["plain"]), unhex(case["padded"])
    assert padding.unpad(padded) == plain
    assert padding.pad(plain, bytes((len(padded) - len(plain) - 1,))) == padded


def test_encrypting_is_a_function_of_chain_index_and_text() -> None:
    chain = SendingChain(bytes(32), 0, bytes(32), 0, bytes(32), None)
    once, again = (
        session.encrypt(chain, 3, identity=bytes(32), registration_id=1, plaintext=b"text") for _ in range(2)
    )
    assert once == again
