"""Linking with a passkey, byte for byte; every paste and every half of a phone that must be refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.wire_files import load
from tocsin.signal.curve import agree, key_pair
from tocsin.whatsapp import link_code, passkey
from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.passkey import Prologue
from tocsin.whatsapp.proto.passkey_pb2 import EncryptedPairingRequest, ProloguePayload

PASSKEY = load("passkey")
CEREMONIES = PASSKEY["ceremony"]


def unhex(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def begun(case: dict[str, Any]) -> Prologue:
    given = case["inputs"]
    ephemeral = key_pair(unhex(given, "companion_ephemeral_private"))
    return passkey.prologue(ephemeral, unhex(given, "companion_nonce"), given["ref"], given["device_type"])


@pytest.mark.parametrize("case", CEREMONIES, ids=lambda case: case["id"])
def test_our_half(case: dict[str, Any]) -> None:
    ours, given, expected = begun(case), case["inputs"], case["expected"]
    assert ours.ephemeral.public == unhex(expected, "companion_ephemeral_public")
    read = ProloguePayload.FromString(ours.payload)
    assert read.companion_ephemeral_identity == unhex(expected, "companion_ephemeral_identity")
    assert read.commitment.hash == unhex(expected, "commitment")
    assert ours.payload == unhex(expected, "prologue_payload")
    if given["handoff"]:
        key = passkey.handoff_key(unhex(given, "adv_secret_before"))
        assert key == unhex(expected, "handoff_key")
        assert passkey.handoff_proof(key, ours.payload) == unhex(expected, "pairing_handoff_proof")


@pytest.mark.parametrize("case", CEREMONIES, ids=lambda case: case["id"])
def test_what_both_sides_share(case: dict[str, Any]) -> None:
    ours, expected = begun(case), case["expected"]
    theirs = passkey.parse_primary(unhex(expected, "primary_ephemeral_identity"))
    assert theirs.public_key == unhex(expected, "primary_ephemeral_public")
    assert agree(ours.ephemeral.private, theirs.public_key) == unhex(expected, "shared_secret")
    assert passkey.encryption_salt(ours).decode() == expected["encryption_salt"]
    shared = passkey.agreement(ours, theirs)
    assert shared.key == unhex(expected, "encryption_key")
    assert (shared.code, link_code.shown(shared.code)) == (expected["code"], expected["code_shown"])


@pytest.mark.parametrize("case", CEREMONIES, ids=lambda case: case["id"])
def test_the_pairing_request(case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    sealed = passkey.encrypted_pairing_request(
        unhex(expected, "encryption_key"),
        key_pair(unhex(given, "noise_private")).public,
        key_pair(unhex(given, "identity_private")).public,
        unhex(given, "adv_secret_after"),
        unhex(given, "iv"),
    )
    assert sealed == unhex(expected, "encrypted_pairing_request")
    read = EncryptedPairingRequest.FromString(sealed)
    opened = AESGCM(unhex(expected, "encryption_key")).decrypt(read.iv, read.encrypted_payload, None)
    assert opened == unhex(expected, "pairing_request")


@pytest.mark.parametrize("case", PASSKEY["assertions"], ids=lambda case: case["id"])
def test_an_assertion_goes_on_the_wire_as_it_must(case: dict[str, Any]) -> None:
    options = passkey.parse_options(case["passkey_request_options"].encode())
    assert options.challenge == unhex(case, "challenge")
    made = check_assertion(case["pasted"], options.challenge)
    assert made.credential_id == unhex(case["expected"], "credential_id")
    assert made.text.decode() == case["expected"]["webauthn_assertion"]


@pytest.mark.parametrize("case", PASSKEY["assertions"], ids=lambda case: case["id"])
def test_the_signature_is_over_what_we_send(case: dict[str, Any]) -> None:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unhex(case, "public_key_uncompressed"))
    expected = case["expected"]
    signed = (
        unhex(expected, "authenticator_data") + hashlib.sha256(expected["client_data_json"].encode()).digest()
    )
    key.verify(unhex(expected, "signature"), signed, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("case", PASSKEY["assertions_rejected"], ids=lambda case: case["id"])
def test_a_paste_that_must_be_refused(case: dict[str, Any]) -> None:
    with pytest.raises(AssertionRefused):
        check_assertion(case["pasted"], unhex(PASSKEY["assertions"][0], "challenge"))


@pytest.mark.parametrize("case", PASSKEY["continuation_rejected"], ids=lambda case: case["id"])
def test_a_half_of_the_phone_that_must_be_refused(case: dict[str, Any]) -> None:
    ours = begun(CEREMONIES[0])
    with pytest.raises(InvalidStanza):
        passkey.agreement(ours, passkey.parse_primary(unhex(case, "primary_ephemeral_identity")))


# What a phone must refuse: here, that ours differs from it


def refused_by_phones(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(case for case in PASSKEY["phone_rejects"] if case["id"] == name)
    return found


def test_our_nonce_is_the_one_that_we_committed_ourselves_to() -> None:
    case, ours = refused_by_phones("nonce-not-committed"), begun(CEREMONIES[0])
    read = ProloguePayload.FromString(ours.payload)
    identity = read.companion_ephemeral_identity
    assert hashlib.sha256(identity + ours.nonce).digest() == read.commitment.hash
    assert hashlib.sha256(identity + unhex(case, "companion_nonce")).digest() != read.commitment.hash


def test_a_changed_request_does_not_open() -> None:
    read = EncryptedPairingRequest.FromString(unhex(refused_by_phones("tag"), "encrypted_pairing_request"))
    key = unhex(CEREMONIES[0]["expected"], "encryption_key")
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(read.iv, read.encrypted_payload, None)


def test_another_ref_yields_another_key() -> None:
    case = refused_by_phones("other-ref")
    ours = begun(CEREMONIES[0])
    assert passkey.encryption_salt(ours).decode() != case["encryption_salt"]


def test_the_proof_is_made_with_the_secret_that_was_scanned() -> None:
    case, given, ours = (
        refused_by_phones("handoff-of-new-secret"),
        CEREMONIES[0]["inputs"],
        begun(CEREMONIES[0]),
    )
    late = passkey.handoff_proof(passkey.handoff_key(unhex(given, "adv_secret_after")), ours.payload)
    right = passkey.handoff_proof(passkey.handoff_key(unhex(given, "adv_secret_before")), ours.payload)
    assert late == unhex(case, "pairing_handoff_proof") != right
