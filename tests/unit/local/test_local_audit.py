"""The audit sees a message key used twice, and nothing where there is none."""

import pytest

from tests.support.local_server import BUDI, SITI, LocalServer, enc
from tocsin.signal.session import Ciphertext
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.audit import Unreadable, chain_position, protobuf_fields, signal_message
from tocsin_whatsapp_server.endpoint import Address


@pytest.fixture
def pair(local: LocalServer):
    siti, budi = local.phone(SITI), local.phone(BUDI)
    return local.companion(siti.account), budi


def route(companion, target, ciphertext, message_id="3EB0AA"):
    to = Node("to", {"jid": target.lid}, (enc(ciphertext),))
    companion.submit(
        Node(
            "message",
            {"id": message_id, "to": target.account.lid, "type": "text"},
            (Node("participants", {}, (to,)),),
        )
    )


def test_messages_of_one_chain_are_no_reuse(local, pair):
    companion, budi = pair
    for text in ("one", "two", "three"):
        route(companion, budi.device, companion.seal(budi.device, text))
    report = local.board.audit.report()
    assert report["ciphertexts"] == 3
    assert report["message_keys_reused"] == 0


def test_two_texts_under_one_key_are_found(local, pair):
    companion, budi = pair
    companion.seal(budi.device, "settle the session")
    before = dict(companion.endpoint._records)
    route(companion, budi.device, companion.seal(budi.device, "the one"))
    companion.endpoint._records = before
    route(companion, budi.device, companion.seal(budi.device, "the other"))
    account = local.board.audit.report()["accounts"][SITI]
    assert [(entry["receiver"], entry["counter"]) for entry in account["message_keys_reused"]] == [
        (f"{BUDI}:0", 1)
    ]


def test_the_same_bytes_again_are_a_resend(local, pair):
    companion, budi = pair
    ciphertext = companion.seal(budi.device, "once")
    route(companion, budi.device, ciphertext)
    route(companion, budi.device, ciphertext)
    report = local.board.audit.report()
    assert report["message_keys_reused"] == 0
    assert report["accounts"][SITI]["identical_resends"] == 1


def test_a_key_used_as_pkmsg_and_as_msg_is_one_key(local, pair):
    companion, budi = pair
    peer = Address(budi.account.lid_user, 0)
    first = companion.seal(budi.device, "as pkmsg")
    inner = signal_message("pkmsg", first.body)
    route(companion, budi.device, first)
    assert peer in companion.endpoint.peers
    route(companion, budi.device, Ciphertext("msg", inner[:-9] + b"\x00" + inner[-8:]))
    assert local.board.audit.report()["message_keys_reused"] == 1


def test_a_refused_message_was_on_the_wire_and_counts(local, pair):
    companion, budi = pair
    local.board.faults.make({"kind": "ack-error", "code": 463})
    route(companion, budi.device, companion.seal(budi.device, "refused"))
    assert local.board.audit.report()["ciphertexts"] == 1


def test_a_prekey_handed_out_twice_is_found(local, pair):
    companion, budi = pair
    prekey_id, prekey = next(iter(budi.device.prekeys.items()))
    request = Node(
        "iq",
        {"id": "1", "xmlns": "encrypt", "type": "get"},
        (Node("key", {}, (Node("user", {"jid": budi.device.lid}),)),),
    )
    companion.submit(request)
    budi.device.prekeys = {prekey_id: prekey} | budi.device.prekeys
    companion.submit(request)
    account = local.board.audit.report()["accounts"][BUDI]
    assert account["prekeys_handed_out"] == 2
    assert account["prekeys_handed_out_twice"] == [{"device": f"{BUDI}:0", "prekey_id": prekey_id}]


@pytest.mark.parametrize(
    "body", [b"", b"\x33", b"\x44" + bytes(40), b"\x33\x0a\xff" + bytes(10), b"\x33" * 12]
)
def test_what_is_no_signal_message_is_unreadable(body):
    with pytest.raises(Unreadable):
        chain_position(signal_message("msg", body))


def test_an_endless_varint_is_refused():
    with pytest.raises(Unreadable):
        protobuf_fields(b"\x80" * 20)
