"""Which device gets what, in which address form."""

import pytest

from tests.support.local_server import BUDI, DEWI, SITI, LocalServer, enc, message_to
from tocsin.signal.session import Ciphertext
from tocsin.whatsapp.jid import JID, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.routing import Refused, route_message, route_receipt

SEALED = Ciphertext("msg", b"sealed")
FIRST = Ciphertext("pkmsg", b"sealed")


@pytest.fixture
def people(local: LocalServer):
    """Siti with a companion, Budi with two."""
    siti, budi = local.phone(SITI, "Siti"), local.phone(BUDI, "Budi")
    for _ in range(2):
        local.companion(budi.account)
    return local.companion(siti.account).device, budi.account


def everybody(sender, account, form, ciphertext=SEALED):
    devices = [*account.devices.values(), *sender.account.devices.values()]
    return [(getattr(device, form), ciphertext) for device in devices if device is not sender]


@pytest.mark.parametrize(("form", "other"), [("pn", "sender_lid"), ("lid", "sender_pn")])
def test_each_device_gets_its_own_ciphertext_in_the_senders_address_form(local, people, form, other):
    sender, budi = people
    message = message_to(getattr(budi, form), everybody(sender, budi, form))
    routed = route_message(message, sender, local.board.directory, 1000)
    assert [str(delivery.device) for delivery in routed.deliveries] == [
        f"{BUDI}:0",
        f"{BUDI}:1",
        f"{BUDI}:2",
        f"{SITI}:0",
    ]
    stanza = routed.deliveries[1].stanza
    assert stanza.attrs["from"] == getattr(sender, form)
    assert stanza.attrs[other] == getattr(sender.account, "lid" if form == "pn" else "pn")
    assert stanza.attrs["addressing_mode"] == form
    assert stanza.attrs["notify"] == "Siti"
    assert stanza.child("enc") == enc(SEALED)
    assert "recipient" not in stanza.attrs


def test_own_devices_are_told_whom_it_was_for(local, people):
    sender, budi = people
    message = message_to(budi.lid, everybody(sender, budi, "lid"))
    copy = route_message(message, sender, local.board.directory, 1000).deliveries[-1].stanza
    assert copy.attrs["recipient"] == budi.lid
    assert copy.attrs["peer_recipient_pn"] == budi.pn
    # A client that learns names from envelopes would take the sender's for the recipient's.
    assert "sender_pn" not in copy.attrs


def test_the_device_identity_goes_along_with_first_messages_only(local, people):
    sender, budi = people
    entries = [(budi.devices[0].lid, FIRST), (budi.devices[1].lid, SEALED)]
    message = message_to(budi.lid, entries)
    message = Node("message", message.attrs, (*message.children(), Node("device-identity", {}, b"who")))
    first, later = route_message(message, sender, local.board.directory, 1000).deliveries
    assert first.stanza.child("device-identity") is not None
    assert later.stanza.child("device-identity") is None


def test_a_complete_fan_out_gets_no_hash(local, people):
    sender, budi = people
    message = message_to(budi.lid, everybody(sender, budi, "lid"))
    assert route_message(message, sender, local.board.directory, 1000).phash is None


def test_a_forgotten_device_is_told_by_the_hash_of_all(local, people):
    sender, budi = people
    message = message_to(budi.lid, everybody(sender, budi, "lid")[1:])
    routed = route_message(message, sender, local.board.directory, 1000)
    everyone = [*budi.devices.values(), *sender.account.devices.values()]
    assert routed.phash == phash(device.lid for device in everyone)
    assert len(routed.deliveries) == 3


def test_a_resend_goes_to_one_device_and_keeps_its_count(local, people):
    sender, budi = people
    device = budi.devices[1]
    inner = Node("participants", {}, (Node("to", {"jid": device.lid}, (enc(SEALED),)),))
    message = Node(
        "message",
        {"id": "M", "to": device.lid, "type": "text", "device_fanout": "false"},
        (enc(FIRST, count="1"), inner),
    )
    routed = route_message(message, sender, local.board.directory, 1000)
    assert [delivery.device for delivery in routed.deliveries] == [device]
    assert routed.deliveries[0].stanza.children("enc") == (enc(FIRST, count="1"),)
    assert routed.phash is None


def test_a_device_that_was_unlinked_gets_nothing(local, people):
    sender, budi = people
    entries = [*everybody(sender, budi, "lid"), (budi.lid.with_device(9), SEALED)]
    routed = route_message(message_to(budi.lid, entries), sender, local.board.directory, 1000)
    assert len(routed.deliveries) == 4


@pytest.mark.parametrize(
    ("to", "entries", "code"),
    [
        (JID("999", "lid"), [], 404),
        (JID(DEWI, "s.whatsapp.net"), [], 404),
        ("budi.lid", ["budi.pn"], 479),
        ("budi.lid", ["dewi.lid"], 479),
    ],
)
def test_what_a_server_refuses(local, people, to, entries, code):
    sender, budi = people
    known = {"budi.lid": budi.lid, "budi.pn": budi.pn}
    if "dewi.lid" in entries:
        known["dewi.lid"] = local.phone(DEWI).account.lid
    message = message_to(known.get(to, to), [(known[name], SEALED) for name in entries])
    with pytest.raises(Refused) as refused:
        route_message(message, sender, local.board.directory, 1000)
    assert refused.value.code == code


@pytest.mark.parametrize("kind", [None, "read", "inactive"])
def test_a_receipt_goes_to_every_device_of_the_sender(local, people, kind):
    sender, budi = people
    reader = budi.devices[2]
    receipt = Node("receipt", {"id": "M", "to": sender.pn} | ({"type": kind} if kind else {}))
    deliveries = route_receipt(receipt, reader, local.board.directory, 1000)
    assert [delivery.device.number for delivery in deliveries] == [0, 1]
    assert deliveries[0].stanza.attrs["from"] == reader.pn
    assert deliveries[0].stanza.optional_str("type") == kind


def test_a_retry_receipt_goes_to_the_device_it_names_with_all_it_holds(local, people):
    sender, budi = people
    children = (Node("retry", {"count": "1", "id": "M"}), Node("registration", {}, b"\0\0\0\1"))
    receipt = Node("receipt", {"id": "M", "to": sender.lid, "type": "retry"}, children)
    (delivery,) = route_receipt(receipt, budi.devices[1], local.board.directory, 1000)
    assert delivery.device is sender
    assert delivery.stanza.attrs["from"] == budi.devices[1].lid
    assert delivery.stanza.content == children


@pytest.mark.parametrize(("number", "told"), [(1, [1]), (7, [])])
def test_of_a_message_to_the_own_chat_the_device_that_sent_it_is_told(local, people, number, told):
    sender, budi = people
    to = sender.account.lid.with_device(number)
    phone = sender.account.devices[0]
    own = Node("receipt", {"id": "M", "to": to, "type": "sender", "recipient": sender.account.lid})
    deliveries = route_receipt(own, phone, local.board.directory, 1000)
    assert [delivery.device.number for delivery in deliveries] == told
    # Of what goes to others, the own phone's copy concerns nobody.
    other = Node("receipt", {"id": "M", "to": to, "type": "sender", "recipient": budi.lid})
    assert route_receipt(other, phone, local.board.directory, 1000) == ()


@pytest.mark.parametrize("kind", ["sender", "peer_msg", "hist_sync"])
def test_what_only_empties_the_queue_is_passed_to_nobody(local, people, kind):
    sender, _ = people
    receipt = Node("receipt", {"id": "M", "to": sender.account.lid, "type": kind})
    assert route_receipt(receipt, sender, local.board.directory, 1000) == ()
