"""QR texts, device identities and the link code, byte for byte; and every identity that must be refused."""

import base64
from typing import Any

import pytest

from tests.vectors.wire_files import load
from tocsin.signal.curve import KeyPair, key_pair, verify
from tocsin.whatsapp import link_code
from tocsin.whatsapp.adv import Voucher
from tocsin.whatsapp.errors import PairingRefused
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.pairing import qr_text, verify_pair_success
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentity

PAIRING = load("pairing")
ADV = load("adv")
ENTROPY = bytes(64)


def unhex(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def pair_success(container: bytes) -> Node:
    own = {"jid": JID.parse("15550100101:2@s.whatsapp.net"), "lid": JID.parse("1002003004:2@lid")}
    children = (
        Node("device-identity", {}, container),
        Node("platform", {"name": "android"}),
        Node("device", own),
    )
    attrs = {"from": SERVER, "type": "set", "xmlns": "md", "id": "77", "t": "1788000000"}
    return Node("iq", attrs, (Node("pair-success", {}, children),))


def signed(content: bytes) -> SignedDeviceIdentity:
    return SignedDeviceIdentity.FromString(content)


@pytest.mark.parametrize("case", PAIRING["qr"])
def test_qr_text(case: dict[str, Any]) -> None:
    keys = (unhex(case, name) for name in ("noise_public", "identity_public", "adv_secret"))
    assert qr_text(case["ref"].encode(), *keys, case["client_type"]) == case["qr"]


@pytest.mark.parametrize("case", PAIRING["adv"] + PAIRING["adv_hosted"])
def test_pairing_is_accepted_and_signed(case: dict[str, Any]) -> None:
    identity = key_pair(unhex(case, "identity_private"))
    node = pair_success(unhex(case, "device_identity_container"))
    pairing = verify_pair_success(node, identity, unhex(case, "adv_secret"), ENTROPY)

    stored = signed(pairing.device_identity)
    verify(identity.public, unhex(case, "device_signature_message"), stored.device_signature)
    stored.device_signature = unhex(case, "device_signature_example")
    assert stored.SerializeToString().hex() == case["stored_account_example"]

    [sign_node] = pairing.reply.children()
    [identity_node] = sign_node.children()
    reply = signed(identity_node.bytes())
    reply.device_signature = unhex(case, "device_signature_example")
    assert reply.SerializeToString().hex() == case["reply_device_identity_example"]
    assert identity_node.attr_int("key-index") == case["key_index"] == pairing.key_index
    assert pairing.account_key == unhex(case, "account_signature_public")


@pytest.mark.parametrize("case", PAIRING["adv_rejected"], ids=lambda case: case["id"])
def test_pairing_is_refused(case: dict[str, Any]) -> None:
    identity = KeyPair(bytes(32), unhex(case, "identity_public"))
    node = pair_success(unhex(case, "device_identity_container"))
    with pytest.raises(PairingRefused) as refused:
        verify_pair_success(node, identity, unhex(case, "adv_secret"), ENTROPY)
    assert (refused.value.code, refused.value.text) == (case["error_code"], case["error_text"])


@pytest.mark.parametrize("case", ADV["pairing"], ids=lambda case: case["name"])
def test_device_identity_at_pairing(case: dict[str, Any]) -> None:
    identity = key_pair(unhex(case, "device_identity_priv"))
    assert identity.public == unhex(case, "device_identity_pub")[1:]
    arguments = (
        pair_success(unhex(case, "pair_success_device_identity")),
        identity,
        base64.b64decode(case["adv_secret"]),
        ENTROPY,
    )
    if case["expect"] != "ok":
        with pytest.raises(PairingRefused, match=case["expect"]):
            verify_pair_success(*arguments)
        return
    pairing = verify_pair_success(*arguments)
    content = signed(pairing.device_identity)
    verify(identity.public, unhex(case, "device_signature_message"), content.device_signature)
    content.device_signature = unhex(case, "device_signature_example")
    assert content.SerializeToString().hex() == case["device_identity_node_example"]
    content.ClearField("account_signature_key")
    assert content.SerializeToString().hex() == case["reply_example"]


@pytest.mark.parametrize("case", ADV["device_identity_nodes"], ids=lambda case: case["name"])
def test_device_identity_of_a_peer(case: dict[str, Any]) -> None:
    node, companion = unhex(case, "node"), unhex(case, "companion_identity_pub")[1:]
    account = signed(node).account_signature_key
    assert Voucher(node).vouches(companion, account) is (case["expect"] == "ok")


@pytest.mark.parametrize("case", PAIRING["link_code"])
def test_link_code(case: dict[str, Any]) -> None:
    assert link_code.make_code(unhex(case, "code_bytes")) == case["code"]
    assert link_code.shown(case["code"]) == case["code_shown"]
    ephemeral = key_pair(unhex(case, "companion_ephemeral_private"))
    wrapped = link_code.wrap_ephemeral(case["code"], ephemeral.public, unhex(case, "salt"), unhex(case, "iv"))
    assert wrapped == unhex(case, "wrapped_companion_ephemeral")

    primary = link_code.unwrap_ephemeral(case["code"], unhex(case, "wrapped_primary_ephemeral"))
    assert primary == unhex(case, "primary_ephemeral_public")
    bundle = link_code.key_bundle(
        ephemeral,
        key_pair(unhex(case, "companion_identity_private")),
        primary,
        unhex(case, "primary_identity_public"),
        secret=unhex(case, "adv_random"),
        salt=unhex(case, "bundle_salt"),
        nonce=unhex(case, "bundle_nonce"),
    )
    assert bundle.wrapped == unhex(case, "wrapped_key_bundle")
    assert bundle.adv_secret == unhex(case, "adv_secret")


@pytest.mark.parametrize(
    "damage",
    [
        lambda node: Node(node.tag, node.attrs, (Node("pair-success"),)),
        lambda node: Node(node.tag, {}, node.content),
        lambda node: Node(node.tag, node.attrs, None),
        lambda node: pair_success(b"\xff\xff"),
    ],
)
def test_incomplete_pair_success_is_an_internal_error(damage: Any) -> None:
    case = PAIRING["adv"][0]
    node = damage(pair_success(unhex(case, "device_identity_container")))
    with pytest.raises(PairingRefused) as refused:
        verify_pair_success(
            node, key_pair(unhex(case, "identity_private")), unhex(case, "adv_secret"), ENTROPY
        )
    assert (refused.value.code, refused.value.text) == (500, "internal-error")
