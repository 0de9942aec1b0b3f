"""A server that means harm, as far as it gets to the keys: refused by name, and the table stays as it was.

What it can do on the wire is in `tests/unit/whatsapp/test_hostile_server.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.fake_whatsapp import NOW, Device, message_from, wrapped
from tests.support.memory_aws import MemoryAws, everything_in
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.signal_peers import LOW_ORDER
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tests.support.wired_steps import our_bundle
from tocsin.dynamo.attributes import to_attribute
from tocsin.multidevice.directory import MAX_DEVICES
from tocsin.signal import sender_key
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.padding import pad
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent, text_message, with_sender_key
from tocsin.whatsapp.proto.message_pb2 import HistorySync, LidMigrationPayload, Message


@pytest.fixture
def wired() -> WiredFunctions:
    wired = WiredFunctions(MemoryAws())
    wired.paired.keys.contacts.learn(
        str(wired.paired.own.pn), str(wired.paired.own.user)
    )  # as each login does
    return wired


@pytest.fixture
def told(wired: WiredFunctions) -> WiredFunctions:
    wired.notification = wired.tell(1)  # type: ignore[attr-defined]
    return wired


def table(wired: WiredFunctions) -> list[str]:
    """All there is in both tables, bit by bit."""
    return sorted(
        repr(sorted(to_attribute(item)["M"].items()))
        for table in (wired.aws.keys_table, wired.aws.notifications_table)
        for item in everything_in(table)
    )


def migration() -> bytes:
    """Siti's number shall be somebody else's."""
    payload = LidMigrationPayload()
    payload.mappings.add(pn=6281234567890, assigned_lid=6666)
    message = Message()
    message.protocol.type = 22
    message.protocol.lid_migration_mapping.payload = payload.SerializeToString()
    return message.SerializeToString()


# -- a made-up phone of our own --------------------------------------------------------------------------


def impostor(wired: WiredFunctions) -> Device:
    """A device that the server made up, at the address of our own phone."""
    device = Device(wired.paired.own.devices[0].jid)
    device.begin(our_bundle(wired))
    return device


@pytest.mark.parametrize("content", [migration(), text_message("x")], ids=["migration", "text"])
def test_a_message_of_a_made_up_phone_of_ours_is_not_even_decrypted(
    told: WiredFunctions, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    device = impostor(told)
    before = table(told)
    node = wrapped(device, told.paired.own, "F", device.encrypt(content), category="peer")
    assert told.receive(node).cause == "forged-identity"
    assert table(told) == before
    assert "foreign identity" in caplog.text


def test_a_made_up_phone_of_ours_gets_no_copies(
    wired: WiredFunctions, caplog: pytest.LogCaptureFixture
) -> None:
    """The server hands out a bundle of its own for our phone: what we send would be readable to it."""
    wired.network.people["9999"].devices[0] = stranger = Device(wired.paired.own.devices[0].jid)
    wired.tell(1)
    assert texts(wired.siti.devices[0]) == ["Tiket 1"]
    assert stranger.shown == stranger.failures == []
    assert "foreign identity" in caplog.text


def test_a_made_up_phone_of_ours_is_not_sent_anything_again(told: WiredFunctions) -> None:
    stranger = Device(told.paired.own.devices[0].jid)
    node = told.network.retry_receipt(stranger, told.notification.message_id, "BadMac", with_keys=True)
    sent = len(told.network.messages)
    assert told.receive(node).outcome == "forged-identity"
    assert len(told.network.messages) == sent


def test_a_companion_of_ours_does_not_speak_for_the_account(told: WiredFunctions) -> None:
    """A companion can be made up too; what concerns the account is the phone's to tell."""
    companion = Device(told.paired.own.user.with_device(6))
    companion.begin(our_bundle(told))
    told.receive(wrapped(companion, told.paired.own, "C", companion.encrypt(migration()), category="peer"))
    assert told.paired.keys.contacts.address(str(told.siti.pn))["lid"] == "1234@lid"


def test_somebody_else_does_not_write_our_history(told: WiredFunctions) -> None:
    import zlib

    message = Message()
    message.protocol.type = 5
    chunk = zlib.compress(HistorySync(nct_salt=b"theirs").SerializeToString())
    message.protocol.history_sync_notification.inline_payload = chunk
    device = told.siti.devices[0]
    report = told.receive(wrapped(device, told.siti, "H", device.encrypt(message.SerializeToString())))
    assert report.cause == "spoofed"
    assert told.paired.keys.contacts.salt("9999@lid") is None


def test_a_copy_to_ourselves_from_a_stranger_is_no_order_of_ours(told: WiredFunctions) -> None:
    device = told.siti.devices[0]
    forged = device_sent(told.siti.user, text_message("STOP"))
    report = told.receive(wrapped(device, told.siti, "D", device.encrypt(forged)))
    assert report.outcome == "other"


# -- bundles ---------------------------------------------------------------------------------------------


def badly(
    device: Device, change: Callable[[PreKeyBundle], PreKeyBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the server hand out `device`'s bundle changed."""
    honest = Device.bundle

    def bundle(self: Device) -> PreKeyBundle:
        made = honest(self)
        return change(made) if self is device else made

    monkeypatch.setattr(Device, "bundle", bundle)


def signed_by(identity: KeyPair, public: bytes) -> bytes:
    return sign(identity.private, encode_point(public), os.urandom(64))


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
@pytest.mark.parametrize("part", ["identity", "signed_prekey", "prekey"])
def test_of_a_bundle_with_a_point_of_low_order_nothing_is_stored(
    wired: WiredFunctions, part: str, point: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    companion = wired.siti.devices[1]

    def change(bundle: PreKeyBundle) -> PreKeyBundle:
        changed = replace(bundle, **{part: point})  # type: ignore[arg-type]
        signature = signed_by(companion.identity, changed.signed_prekey)
        return replace(changed, signed_prekey_signature=signature)

    badly(companion, change, monkeypatch)
    wired.tell(1)
    assert texts(wired.siti.devices[0]) == ["Tiket 1"]
    assert wired.paired.keys.sending.session_facts(wired.paired.profile, "1234@lid", 1) is None
    assert not any("inbound#1'" in item and "1234@lid" in item for item in table(wired))


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: replace(bundle, signed_prekey_signature=bytes(64)),
        lambda bundle: replace(bundle, identity=os.urandom(32)),
        lambda bundle: replace(bundle, signed_prekey=os.urandom(32)),
    ],
    ids=["signature", "identity", "signed prekey"],
)
def test_of_a_bundle_that_is_signed_wrongly_nothing_is_stored(
    wired: WiredFunctions, change: Callable[[PreKeyBundle], PreKeyBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    badly(wired.siti.devices[0], change, monkeypatch)
    badly_too = wired.plan(1)
    wired.deliver(badly_too)
    assert wired.paired.keys.sending.session_facts(wired.paired.profile, "1234@lid", 0) is None


# -- giant lists, repeated ids, wrong senders ------------------------------------------------------------


def test_of_a_giant_device_list_the_first_are_taken(wired: WiredFunctions) -> None:
    """More would be too much for one transaction, and whoever is on the list can read what we write."""
    for number in range(1, 256):
        wired.siti.devices[number] = Device(wired.siti.user.with_device(number))
    wired.tell(1)
    assert sum(bool(texts(device)) for device in wired.siti.devices.values()) == MAX_DEVICES
    assert texts(wired.siti.devices[0]) == ["Tiket 1"]


def test_a_receipt_of_thousands_of_ids_looks_nothing_up(told: WiredFunctions) -> None:
    node = receipt_of(told.siti, told.notification.message_id, "read")
    items = tuple(Node("item", {"id": f"3EB0{number:018X}"}) for number in range(5000))
    before = table(told)
    report = told.receive(Node(node.tag, node.attrs, (Node("list", {}, items),)))
    assert (report.outcome, report.cause) == ("malformed", "too many ids in one receipt")
    assert table(told) == before


def test_a_removal_that_names_a_device_a_thousand_times_is_done_once(
    told: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[int] = []
    monkeypatch.setattr(
        type(told.paired.keys.sending),
        "remove_device",
        lambda self, profile, user, device: removed.append(device),
    )
    devices = tuple(Node("device", {"jid": told.siti.user.with_device(1 + n % 2)}) for n in range(1000))
    attrs = {"id": "n", "type": "devices", "t": str(NOW), "from": told.siti.user}
    told.receive(Node("notification", attrs, (Node("remove", {}, devices),)))
    assert removed == [1, 2]


def test_the_phone_itself_is_never_removed(told: WiredFunctions) -> None:
    device = Node("device", {"jid": told.siti.user})
    attrs = {"id": "n", "type": "devices", "t": str(NOW), "from": told.siti.user}
    told.receive(Node("notification", attrs, (Node("remove", {}, (device,)),)))
    assert told.paired.keys.sending.session_facts(told.paired.profile, "1234@lid", 0) is not None


def test_a_message_under_the_id_of_another_is_a_message_of_its_own(told: WiredFunctions) -> None:
    """Ids are the sender's: two people may use one, and one person may use one twice."""
    mallory = told.network.person("6281111111111", "6666")
    mallory.devices[0].begin(our_bundle(told))
    assert told.reply("satu", "SAME").outcome == "reply"
    assert told.receive(message_from(mallory.devices[0], mallory, "SAME", "dua")).outcome == "reply"
    assert told.reply("tiga", "SAME").outcome == "reply"


def test_a_ciphertext_under_another_id_is_a_duplicate(told: WiredFunctions) -> None:
    device = told.siti.devices[0]
    ciphertext = device.encrypt(text_message("sekali"))
    told.receive(wrapped(device, told.siti, "A", ciphertext))
    assert told.receive(wrapped(device, told.siti, "B", ciphertext)).outcome == "duplicate"


def test_a_ciphertext_under_another_sender_is_not_read(told: WiredFunctions) -> None:
    device = told.siti.devices[0]
    mallory = told.network.person("6281111111111", "6666")
    ciphertext = device.encrypt(text_message("Siti's words"))
    sessions = table(told)
    report = told.receive(wrapped(mallory.devices[0], mallory, "M", ciphertext))
    assert report.outcome == "asked-again"
    assert [item for item in table(told) if "session#default.2#1234" in item] == [
        item for item in sessions if "session#default.2#1234" in item
    ]


@pytest.mark.parametrize("sender", [JID("", LID), JID("120363", "g.us"), JID("5", "call"), JID("x", "bot")])
@pytest.mark.parametrize("tag", ["message", "receipt", "notification", "call"])
def test_stanzas_of_impossible_senders_store_nothing(told: WiredFunctions, tag: str, sender: JID) -> None:
    before = table(told)
    kinds = {"notification": "devices"}
    attrs = {"id": "x", "from": sender, "t": str(NOW), **({"type": kinds[tag]} if tag in kinds else {})}
    enc = Node("enc", {"v": "2", "type": "msg"}, bytes(60))
    assert told.receive(Node(tag, attrs, (enc,))).outcome in ("malformed", "ignored")
    assert table(told) == before


# -- numbers and lengths beyond all bounds ---------------------------------------------------------------


def beyond(wired: WiredFunctions, name: str) -> Node:
    """A stanza that would be taken but for one value."""
    device, message_id = wired.siti.devices[0], wired.notification.message_id  # type: ignore[attr-defined]
    change = {**BEYOND_IN_ALL, **BEYOND_IN_SOME}[name]
    tag = name.split()[0]
    if tag == "message":
        return wrapped(device, wired.siti, "M", device.encrypt(text_message("STOP")), **change)
    if tag == "retry":
        node = wired.network.retry_receipt(device, message_id, "BadMac", with_keys=True)
        retry = Node("retry", {**node.require_child("retry").attrs, **change})
        return Node(node.tag, node.attrs, (retry, *(part for part in node.children() if part.tag != "retry")))
    if tag == "receipt":
        node = receipt_of(wired.siti, message_id, "read")
        return Node(tag, {**node.attrs, **change})
    kind = {"type": "devices"} if tag == "notification" else {}
    attrs = {"id": "x", "from": wired.siti.user, "t": str(NOW), **kind}
    listed = Node("device", {"jid": wired.siti.user.with_device(1)})
    return Node(tag, {**attrs, **change}, (Node("remove", {}, (listed,)),))


THOUSANDS, EIGHTEEN, FAR = "A" * 3000, "9" * 18, JID("1" * 3000, LID)

BEYOND_IN_ALL = {
    f"{tag} {name}": change
    for tag in ("message", "receipt", "notification", "call")
    for name, change in {"from": {"from": FAR}, "from as text": {"from": str(FAR)}}.items()
}
BEYOND_IN_SOME: dict[str, dict[str, object]] = {
    "message id": {"id": THOUSANDS},
    "message t": {"t": EIGHTEEN},
    "message count": {"count": EIGHTEEN},
    "message participant": {"from": JID("120363", "g.us"), "participant": FAR},
    "message group": {"from": JID("1" * 3000, "g.us"), "participant": JID("1234", LID)},
    "message sender_pn": {"sender_pn": JID("1" * 3000, "s.whatsapp.net")},
    "receipt id": {"id": THOUSANDS},
    "receipt t": {"t": EIGHTEEN},
    "receipt type": {"type": THOUSANDS},
    "retry count": {"count": EIGHTEEN},
    "retry id": {"id": THOUSANDS},
    "retry t": {"t": EIGHTEEN},
    "retry error": {"error": EIGHTEEN},
    "notification type": {"type": THOUSANDS},
    "notification lid": {"lid": FAR},
}


@pytest.mark.parametrize("name", [*BEYOND_IN_ALL, *BEYOND_IN_SOME])
def test_a_stanza_beyond_all_bounds_is_malformed_and_leaves_nothing(told: WiredFunctions, name: str) -> None:
    node = beyond(told, name)
    before, sent = table(told), len(told.network.messages)
    assert told.receive(node).outcome == "malformed"
    assert table(told) == before
    assert len(told.network.messages) == sent


@pytest.mark.parametrize("name", ["message", "receipt", "retry", "notification", "call"])
def test_the_same_stanza_within_bounds_is_taken(
    told: WiredFunctions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BEYOND_IN_SOME, name, {})
    assert told.receive(beyond(told, name)).outcome != "malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"received_at": 10**17},
        {"received_at": -1},
        {"received_at": 1e300},
        {"received_at": True},
        {"incarnation": 10**30},
        {"epoch": "1" * 5000},
        {"account": "a" * 129},
        {"account": ""},
        {"account": None},
        {"stanza": "\u00e9"},
    ],
    ids=lambda change: str(change)[:30],
)
def test_an_envelope_that_no_connector_writes_is_malformed(
    told: WiredFunctions, change: dict[str, object]
) -> None:
    node = receipt_of(told.siti, told.notification.message_id)
    report = told.receive(node, **change)
    assert (report.kind, report.outcome) == ("envelope", "malformed")


@pytest.mark.parametrize("body", ["[" * 99_999, '{"stanza":' + "1" * 5000 + "}", "null", '"x"', "\ud800"])
def test_what_is_no_envelope_is_malformed(told: WiredFunctions, body: str) -> None:
    assert told.inbound.handle(body).outcome == "malformed"


# -- sender keys -----------------------------------------------------------------------------------------

TEAM = JID("120363000000000001", "g.us")


def in_group(wired: WiredFunctions, stanza_id: str, iteration: int) -> Node:
    """Siti hands in a sender key that stands at `iteration`, and writes under it."""
    device = wired.siti.devices[0]
    key = replace(sender_key.create(7, bytes(32), key_pair(bytes(32))), iteration=iteration)
    pairwise = device.encrypt(with_sender_key(TEAM, sender_key.distribution(key)))
    text = sender_key.encrypt(key, iteration, plaintext=pad(text_message("Halo"), b"\x01"), entropy=bytes(64))
    attrs = {"id": stanza_id, "from": TEAM, "participant": device.jid, "t": str(NOW), "type": "text"}
    encs = ((pairwise.type, pairwise.body), ("skmsg", text))
    return Node("message", attrs, tuple(Node("enc", {"v": "2", "type": kind}, body) for kind, body in encs))


def sender_keys(wired: WiredFunctions) -> list[str]:
    return [item for item in table(wired) if "sender#1234@lid#0" in item]


def test_a_sender_key_whose_chain_is_at_its_end_is_not_taken(
    told: WiredFunctions, caplog: pytest.LogCaptureFixture
) -> None:
    assert told.receive(in_group(told, "G", 2**32 - 1)).outcome == "asked-again"
    assert sender_keys(told) == []
    assert "a bad sender key" in caplog.text


def test_the_last_message_of_a_sender_key_is_read(told: WiredFunctions) -> None:
    assert told.receive(in_group(told, "G", 2**32 - 2)).outcome == "other"
    assert len(sender_keys(told)) == 1


@pytest.fixture(autouse=True)
def warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="tocsin")
