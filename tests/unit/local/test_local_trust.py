"""Privacy tokens, hosted devices, messages without a copy: what clients meet beside the ordinary."""

import pytest

from tests.support.local_server import BUDI, SITI, LocalServer, enc, message_to
from tocsin.whatsapp.adv import KeyIndexes
from tocsin.whatsapp.bundles import parse_bundle
from tocsin.whatsapp.jid import HOSTED_DEVICE, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message, WebMessageInfo
from tocsin_whatsapp_server.companion import Companion as LivingCompanion


@pytest.fixture
def chat(local: LocalServer):
    """Siti's companion, and Budi's phone."""
    siti, budi = local.phone(SITI, "Siti"), local.phone(BUDI, "Budi")
    return local.companion(siti.account), budi


def token_of(companion):
    """The privacy token that it was told of."""
    [note] = [one for one in companion.taken("notification") if one.attrs["type"] == "privacy_token"]
    [token] = note.require_child("tokens").children("token")
    return note, token.bytes()


def shown(local):
    return [event.as_json()["token"] for event in local.board.events.after(0, "message")]


def with_child(stanza, child):
    return Node(stanza.tag, stanza.attrs, (*stanza.children(), child))


# -- privacy tokens --------------------------------------------------------------------------------------


def test_a_phone_that_writes_issues_its_token_once(chat, local):
    companion, budi = chat
    budi.write(companion.device.account, "halo")
    note, _ = token_of(companion)
    assert (note.attrs["from"], note.attrs["sender_lid"]) == (budi.account.pn, budi.account.lid)
    budi.write(companion.device.account, "lagi")
    assert companion.taken("notification") == []


def test_a_client_issues_one_by_asking(chat, local):
    companion, budi = chat
    token = Node("token", {"jid": budi.account.lid, "t": "1", "type": "trusted_contact"})
    attrs = {"id": "1", "type": "set", "xmlns": "privacy", "to": SERVER}
    companion.submit(Node("iq", attrs, (Node("tokens", {}, (token,)),)))
    assert companion.taken("iq")[0].attrs["type"] == "result"
    assert list(budi.account.tokens) == [SITI]


def test_the_server_notes_which_token_a_message_shows(chat, local):
    companion, budi = chat
    budi.write(companion.device.account, "halo")
    _, token = token_of(companion)
    for number, child in enumerate(
        (Node("tctoken", {}, token), Node("tctoken", {}, b"made up"), Node("cstoken", {}, bytes(32)))
    ):
        entries = [(budi.device.lid, companion.seal(budi.device, "x"))]
        stanza = message_to(budi.account.lid, entries, message_id=f"3EB0{number}")
        companion.submit(with_child(stanza, child))
    assert shown(local)[1:] == ["token", "", "secret"]


def test_a_server_that_wants_tokens_refuses_messages_without(chat, local):
    companion, budi = chat
    local.board.faults.make({"kind": "want-token"})
    companion.write(budi.account, "hello")
    assert companion.taken("ack")[0].attrs["error"] == "463"
    entries = [(budi.device.lid, companion.seal(budi.device, "x"))]
    companion.submit(with_child(message_to(budi.account.lid, entries), Node("cstoken", {}, bytes(32))))
    assert "error" not in companion.taken("ack")[0].attrs


# -- hosted devices --------------------------------------------------------------------------------------


def test_a_hosted_device_is_listed_as_one_and_reachable_at_its_own_address(chat, local):
    companion, budi = chat
    hosted = LivingCompanion(budi.account, local.board, hosted=True)
    assert str(hosted.device.lid) == f"{budi.account.lid_user}:{HOSTED_DEVICE}@hosted.lid"
    query = Node("query", {}, (Node("devices", {"version": "2"}),))
    users = Node("list", {}, (Node("user", {"jid": budi.account.lid}),))
    usync = Node("usync", {"sid": "1", "mode": "query", "context": "message"}, (query, users))
    companion.submit(Node("iq", {"id": "1", "type": "get", "xmlns": "usync", "to": SERVER}, (usync,)))
    [answer] = companion.taken("iq")
    [user] = answer.require_child("usync").require_child("list").children("user")
    devices = user.require_child("devices").require_child("device-list").children("device")
    assert [device.attrs.get("is_hosted") for device in devices] == [None, "true"]
    companion.write(budi.account, "hello")
    assert [entry.text for entry in hosted.messages()] == ["hello"]


# -- messages without a copy -----------------------------------------------------------------------------


def test_the_phone_gives_on_what_its_companion_had_no_copy_of(chat, local):
    companion, budi = chat
    account = companion.device.account
    local.board.faults.make({"kind": "unavailable", "account": SITI, "device": companion.device.number})
    sent = budi.write(account, "penting")
    [message] = companion.taken("message")
    assert [child.tag for child in message.children()] == ["unavailable"]

    request = Message()
    request.protocol.type = 16
    request.protocol.peer_data_request.type = 4
    key = request.protocol.peer_data_request.placeholders.add().key
    key.remote_jid, key.id = str(budi.account.lid), sent.id
    phone = account.devices[0]
    companion.seal(phone, "a session")
    from tocsin_whatsapp_server.endpoint import Address

    peer = Address(account.lid_user, 0)
    ciphertext = companion.endpoint.encrypt(peer, request.SerializeToString())
    attrs = {"id": "3EB0FF", "to": account.pn, "type": "text", "category": "peer"}
    companion.submit(Node("message", attrs, (enc(ciphertext),)))

    [answer] = companion.taken("message")
    body = answer.require_child("enc")
    plain = companion.endpoint.decrypt(peer, body.attr_str("type"), body.bytes())
    response = Message.FromString(plain).protocol.peer_data_response
    assert response.stanza_id == "3EB0FF"
    info = WebMessageInfo.FromString(response.results[0].placeholder.web_message_info)
    assert (info.key.id, info.key.remote_jid, info.message.conversation) == (
        sent.id,
        str(budi.account.lid),
        "penting",
    )
    assert answer.attrs["category"] == "peer"


# -- who vouches for a companion -------------------------------------------------------------------------


def bundle_of(local, asking, device, what=""):
    """What the server hands out of a device, spoilt in one way or not at all."""
    if what:
        local.board.faults.make(
            {"kind": "bundle", "account": device.account.number, "device": device.number, "what": what}
        )
    wanted = Node("key", {}, (Node("user", {"jid": device.lid}),))
    asking.submit(Node("iq", {"id": "1", "type": "get", "xmlns": "encrypt", "to": SERVER}, (wanted,)))
    [answer] = asking.taken("iq")
    [user] = answer.require_child("list").children("user")
    return parse_bundle(user, user)


@pytest.mark.parametrize("hosted", [False, True])
def test_the_phone_vouches_for_its_companions(chat, local, hosted):
    asking, budi = chat
    companion = LivingCompanion(budi.account, local.board, hosted=hosted, phone=budi.identity)
    bundle = bundle_of(local, asking, companion.device)
    assert bundle.voucher.vouches(companion.device.identity, budi.identity.public)
    assert bundle_of(local, asking, budi.device).voucher is None


def test_a_hostile_server_hands_out_companions_that_nobody_or_another_phone_vouches_for(chat, local):
    asking, budi = chat
    companion = LivingCompanion(budi.account, local.board, phone=budi.identity).device
    assert bundle_of(local, asking, companion, "unvouched").voucher is None
    foreign = bundle_of(local, asking, companion, "foreign")
    assert foreign.identity == companion.identity
    assert not foreign.voucher.vouches(companion.identity, budi.identity.public)


def test_the_phone_signs_which_of_its_companions_count(chat, local):
    _, budi = chat
    gone = LivingCompanion(budi.account, local.board, phone=budi.identity).device
    kept = LivingCompanion(budi.account, local.board, phone=budi.identity).device
    local.board.unlink(gone)
    listed = KeyIndexes(budi.account.key_indexes())
    assert [listed.hold(one.key_index, budi.identity.public) for one in (gone, kept)] == [False, True]
