"""Device identity: which account and device signatures hold, over which bytes."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tocsin.signal.curve import decode_point, key_pair, sign, verify
from tocsin.signal.errors import BadSignature

VECTORS = load("adv")
HOSTED = 1


def fields(message: bytes) -> dict[int, Any]:
    """Field number → value of a protobuf of integers and bytes: just enough to take these apart."""
    found: dict[int, Any] = {}
    at = 0

    def integer() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = integer()
        if tag & 7 == 0:
            found[tag >> 3] = integer()
        else:
            length = integer()
            found[tag >> 3] = message[at : at + length]
            at += length
    return found


def check(identity: bytes, companion: bytes) -> None:
    """Both signatures of an ADVSignedDeviceIdentity with account key; the device's only if it is there."""
    signed = fields(identity)
    details, account = signed[1], signed[2]
    prefix = b"\x06\x05" if fields(details).get(5) == HOSTED else b"\x06\x00"
    verify(account, prefix + details + companion, signed[3])
    if 4 in signed:
        verify(companion, b"\x06\x01" + details + companion + account, signed[4])


@pytest.mark.parametrize("case", VECTORS["device_identity_nodes"], ids=by_name)
def test_device_identity_node(case: dict[str, Any]) -> None:
    companion = decode_point(unhex(case["companion_identity_pub"]))
    if case["expect"] == "ok":
        check(unhex(case["node"]), companion)
    else:
        with pytest.raises(BadSignature):
            check(unhex(case["node"]), companion)


signatures_only = [case for case in VECTORS["pairing"] if case["expect"] != "hmac-mismatch"]


@pytest.mark.parametrize("case", signatures_only, ids=by_name)
def test_account_signature_at_pairing(case: dict[str, Any]) -> None:
    identity = fields(unhex(case["pair_success_device_identity"]))[1]
    companion = decode_point(unhex(case["device_identity_pub"]))
    if case["expect"] == "ok":
        check(identity, companion)
    else:
        with pytest.raises(BadSignature):
            check(identity, companion)


@pytest.mark.parametrize("case", [c for c in VECTORS["pairing"] if c["expect"] == "ok"], ids=by_name)
def test_device_signature_at_pairing(case: dict[str, Any]) -> None:
    pair, message = key_pair(unhex(case["device_identity_priv"])), unhex(case["device_signature_message"])
    verify(pair.public, message, unhex(case["device_signature_example"]))
    verify(pair.public, message, sign(pair.private, message, bytes(64)))
    check(unhex(case["device_identity_node_example"]), pair.public)
