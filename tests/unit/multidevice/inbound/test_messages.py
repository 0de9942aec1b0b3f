"""Stanzas from WhatsApp: what is read, what is asked for again, and what each of them moves."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace

import pytest

from tests.support.fake_whatsapp import Device, message_from, wrapped
from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tests.support.wired_steps import garbled, orders, our_bundle, replies, retry_of, sessions
from tocsin.connector_client.errors import ConnectorAway
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.failure import Wait
from tocsin.notify.notification import State
from tocsin.signal.padding import pad
from tocsin.signal.session import Ciphertext
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import JID, PN, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import device_sent, text_message
from tocsin.whatsapp.proto.message_pb2 import Message, ProtocolMessage

USER = "6281234567890@s.whatsapp.net"
TIMER = Message(protocol=ProtocolMessage(type=3, ephemeral_expiration=86400)).SerializeToString()


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())


@pytest.fixture
def told(wired: WiredFunctions) -> WiredFunctions:
    """Siti has had one notification, so there are sessions both ways."""
    wired.notification = wired.tell(1)  # type: ignore[attr-defined]
    return wired


def written(wired: WiredFunctions) -> list[tuple[str, str]]:
    """Tag and type of what we wrote to the socket unasked."""
    return [(node.tag, str(node.attrs.get("type", ""))) for node in wired.network.written]


# -- replies ---------------------------------------------------------------------------------------------


def test_a_reply_is_read_confirmed_and_told(told):
    report = told.reply("Terima kasih")
    assert report.outcome == "reply"
    assert written(told) == [("receipt", "inactive")]
    [reply] = replies(told)
    assert (reply["text"], reply["recipient"], reply["outcome"]) == (
        "Terima kasih",
        "6281234567890",
        "ReplyReceived",
    )


def test_with_damaged_account_secrets_a_reply_waits_for_a_person(told):
    body = told.envelope(message_from(told.siti.devices[0], told.siti, "R", "Halo"))
    table, key = told.paired.table, ("account#default", "credentials")
    sound = {name: value for name, value in table.get(key).items() if name not in ("pk", "sk")}
    table.put(Put(key, {**sound, "secrets": sound["secrets"] + b"\0"}))
    told.restart()
    with pytest.raises(Wait) as raised:
        told.inbound.handle(body)
    assert raised.value.code == "damaged-account"
    table.put(Put(key, sound))
    assert told.inbound.handle(body).outcome == "reply"


def test_a_reply_is_about_the_last_notification_that_reached_its_sender(told):
    second = told.tell(2)
    told.receipt(told.notification)
    told.receipt(second)
    told.reply("Baik")
    assert replies(told)[0]["ticket_id"] == "TCK-2"


def test_a_quoted_notification_is_the_one_it_is_about(told):
    told.receipt(told.tell(2))
    message = Message()
    message.extended_text.text = "Yang ini"
    message.extended_text.context_info.stanza_id = told.notification.message_id
    device = told.siti.devices[0]
    told.receive(wrapped(device, told.siti, "Q", device.encrypt(message.SerializeToString())))
    assert replies(told)[0]["ticket_id"] == "TCK-1"


def test_somebody_who_writes_first_is_heard_too(wired):
    device = wired.siti.devices[0]
    device.begin(our_bundle(wired))
    report = wired.receive(message_from(device, wired.siti, "F", "Halo"))
    assert (report.outcome, report.facts["new_session"]) == ("reply", True)
    [reply] = replies(wired)
    assert "ticket_id" not in reply


def test_a_first_message_spends_its_prekey_and_teaches_the_address(wired):
    device = wired.siti.devices[0]
    device.begin(our_bundle(wired))
    wired.receive(message_from(device, wired.siti, "F", "Halo"))
    assert wired.paired.keys.account.prekey_count() == 0
    assert wired.paired.keys.contacts.address(USER) == {"pn": USER, "lid": "1234@lid"}


def test_a_reply_ends_the_first_messages_of_that_device(told):
    told.reply("ok")
    told.tell(2)
    kinds = {
        str(to.attr_jid("jid")): to.require_child("enc").attr_str("type")
        for to in told.network.messages[-1].require_child("participants").children("to")
    }
    assert kinds == {"1234@lid": "msg", "1234:1@lid": "pkmsg", "9999@lid": "pkmsg"}


# -- the same stanza again -------------------------------------------------------------------------------


def test_a_doubled_stanza_is_confirmed_again_and_told_once(told):
    node = message_from(told.siti.devices[0], told.siti, "R1", "ok")
    assert told.receive(node).outcome == "reply"
    assert told.receive(node).outcome == "duplicate"
    assert written(told) == [("receipt", "inactive")] * 2
    assert len(replies(told)) == 1


def test_killed_after_the_turn_the_reply_is_not_lost(told, monkeypatch):
    node = message_from(told.siti.devices[0], told.siti, "R1", "ok")
    with monkeypatch.context() as crash:
        crash.setattr(told.stores.replies, "put", _die)
        with pytest.raises(KeyboardInterrupt):
            told.receive(node)
    told.restart()
    report = told.receive(node)
    assert (report.outcome, report.facts["repeated"]) == ("reply", True)
    assert [reply["text"] for reply in replies(told)] == ["ok"]


def test_while_the_connector_is_away_the_reply_counts_and_its_receipt_waits(told):
    node = message_from(told.siti.devices[0], told.siti, "R1", "ok")
    told.network.away = ConnectorAway("gone")
    with pytest.raises(Wait):
        told.receive(node)
    told.network.away = None
    assert told.receive(node).outcome == "duplicate"
    assert len(replies(told)) == 1
    assert written(told) == [("receipt", "inactive")]


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt("killed")


# -- what can't be read ----------------------------------------------------------------------------------


def test_a_bad_mac_is_asked_for_again_without_keys_at_first(told):
    report = told.receive(garbled(told))
    assert (report.outcome, report.cause) == ("asked-again", "BadMac")
    assert retry_of(told).attrs["count"] == "1"
    assert retry_of(told).attrs["error"] == "7"
    assert told.network.written[-1].child("keys") is None
    assert replies(told) == []


def test_from_the_second_time_on_fresh_keys_come_along_and_the_session_is_archived(told):
    told.receive(garbled(told))
    assert told.paired.keys.sending.session_facts(told.paired.profile, "1234@lid", 0) is not None
    report = told.receive(garbled(told, count=1))
    assert report.facts == {"count": 2, "with_keys": True}
    assert told.network.written[-1].child("keys") is not None
    assert told.paired.keys.sending.session_facts(told.paired.profile, "1234@lid", 0) is None


def test_after_an_archived_session_our_next_message_founds_a_new_one(told):
    told.receive(garbled(told))
    told.receive(garbled(told, count=1))
    told.tell(2)
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"
    assert told.network.retries == []


def test_it_is_asked_for_four_times_and_never_again(told):
    outcomes = [told.receive(garbled(told)).outcome for _ in range(7)]
    assert outcomes == ["asked-again"] * 4 + ["given-up"] * 3
    assert len(told.network.written) == 4


def test_keys_of_a_retry_receipt_heal_the_sender(told):
    told.receive(garbled(told))
    told.receive(garbled(told, count=1))
    keys = told.network.written[-1]
    from tocsin.whatsapp.bundles import parse_bundle

    device = told.siti.devices[0]
    device.begin(parse_bundle(keys.require_child("keys"), keys))
    assert told.receive(message_from(device, told.siti, "B1", "utuh", count=2)).outcome == "reply"
    told.tell(2)
    assert texts(device)[-1] == "Tiket 2"


def test_no_session_is_asked_for_with_keys_at_once(wired):
    device = wired.siti.devices[0]
    device.begin(our_bundle(wired))
    first = message_from(device, wired.siti, "F", "Halo")
    wired.receive(first)
    wired.paired.keys.sending.remove_device(wired.paired.profile, "1234@lid", 0)
    wired.tell(1)  # the device answers, and then goes on in the session of our message
    wired.paired.keys.sending.remove_device(wired.paired.profile, "1234@lid", 0)
    report = wired.receive(message_from(device, wired.siti, "N", "Halo?"))
    assert report.outcome == "asked-again"
    assert report.cause == "NoSession"
    assert wired.network.written[-1].child("keys") is not None


def test_a_spent_prekey_is_asked_for_with_keys_at_once(wired):
    device = wired.siti.devices[0]
    bundle = our_bundle(wired)
    device.begin(bundle)
    wired.receive(message_from(device, wired.siti, "F", "Halo"))
    other = wired.network.person("6285555555555", "5555")
    other.devices[0].begin(bundle)
    report = wired.receive(message_from(other.devices[0], other, "G", "Halo"))
    assert (report.cause, report.facts["with_keys"]) == ("NoPreKey", True)


def test_a_failed_decrypt_leaves_the_session_as_it_was(told):
    before = sessions(told)
    told.receive(garbled(told))
    assert sessions(told) == before
    assert told.reply("masih bisa").outcome == "reply"


def test_counts_are_not_used_up_while_nobody_can_ask(told):
    told.paired.lease.state = "connecting"
    told.restart()
    told.paired.leases.forget("default")
    for _ in range(6):
        with pytest.raises(Wait):
            told.receive(garbled(told))
    told.paired.lease.state = "connected"
    assert told.receive(garbled(told)).facts["count"] == 1


def test_a_damaged_record_counts_as_no_session_and_heals(told):
    items = sessions(told)
    [inbound] = [item for item in items if item["sk"] == "inbound#0" and "1234" in item["pk"]]
    broken = {"states": inbound["states"] + b"\0"}
    told.aws.keys_table.update(Update((inbound["pk"], inbound["sk"]), set=broken))
    report = told.reply("ok")
    assert (report.outcome, report.cause) == ("asked-again", "NoSession")
    told.tell(2)
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"


@pytest.mark.parametrize("body", [b"", b"\x33", b"\x34" + bytes(60), bytes(200)])
@pytest.mark.parametrize("kind", ["msg", "pkmsg"])
def test_malformed_ciphertexts_are_named_and_change_nothing(told, kind, body):
    before = sessions(told)
    node = wrapped(told.siti.devices[0], told.siti, "M", Ciphertext(kind, body or b"\0"))
    report = told.receive(node)
    assert report.outcome == "asked-again"
    assert report.cause in ("InvalidMessage", "InvalidKey")
    assert sessions(told) == before


def test_invalid_bytes_never_cost_a_session(told):
    for count in range(3):
        told.receive(wrapped(told.siti.devices[0], told.siti, "M", Ciphertext("msg", bytes(60)), count=count))
    assert told.paired.keys.sending.session_facts(told.paired.profile, "1234@lid", 0) is not None


# -- consent ---------------------------------------------------------------------------------------------


def confirmations(wired: WiredFunctions) -> list[str]:
    """Deliver what is in the queue; the texts that Siti's phone shows of it."""
    before = len(texts(wired.siti.devices[0]))
    for order in orders(wired):
        notification = wired.stores.notifications.get(order["notification"])
        wired.deliver(notification)
    return texts(wired.siti.devices[0])[before:]


def test_stop_suppresses_what_comes_and_is_confirmed_once(told):
    told.reply("STOP", "S1")
    assert len(confirmations(told)) == 1
    assert told.deliver(told.plan(2)).outcome == "suppressed"
    told.reply("stop!", "S2")
    assert confirmations(told) == []


def test_stop_is_answered_in_the_language_of_the_notification(told):
    told.receipt(told.notification)
    told.reply("STOP")
    assert confirmations(told)[0].startswith("Anda")


def test_killed_before_the_confirmation_it_is_still_confirmed_once(told, monkeypatch):
    node = message_from(told.siti.devices[0], told.siti, "S1", "BERHENTI")
    with monkeypatch.context() as crash:
        crash.setattr(told.stores.notifications, "put_new", _die)
        with pytest.raises(KeyboardInterrupt):
            told.receive(node)
    assert told.deliver(told.plan(2)).outcome == "suppressed"
    told.restart()
    told.receive(node)
    assert len(confirmations(told)) == 1


def test_consent_comes_back_with_a_word_and_is_confirmed(told):
    told.reply("STOP", "S1")
    confirmations(told)
    told.paired.now += 60
    told.reply("MULAI", "S2")
    assert len(confirmations(told)) == 1
    assert told.deliver(told.plan(2)).outcome == "sent"


def test_consent_can_be_withdrawn_a_second_time(told):
    for number, word in enumerate(("STOP", "MULAI", "STOP")):
        told.paired.now += 60
        told.reply(word, f"S{number}")
        assert len(confirmations(told)) == 1
    assert told.deliver(told.plan(2)).outcome == "suppressed"


def test_the_reply_says_what_became_of_consent(told):
    told.reply("ALTO")
    assert replies(told)[0]["consent"] == "withdrawn"


def test_after_a_renumbering_stop_holds_for_both_numbers(wired):
    wired.network.person("5215512345678", "7777")
    wired.network.people["7777"].phone = "5215512345678"
    wired.paired.keys.contacts.learn("525512345678@s.whatsapp.net", "7777@lid")
    mexican = wired.network.people["7777"]
    mexican.devices[0].begin(our_bundle(wired))
    wired.receive(message_from(mexican.devices[0], mexican, "X", "ALTO"))
    wired.network.aliases["525512345678"] = "5215512345678"
    for number, phone in enumerate(("5215512345678", "525512345678")):
        planned = replace(wired.plan(number), id=f"{number:018x}", recipient=phone, person=None, lane=None)
        wired.stores.notifications.put_new(planned)
        assert wired.deliver(planned).outcome == "suppressed"


# -- receipts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state"),
    [(None, "delivered"), ("inactive", "delivered"), ("read", "read"), ("played", "read")],
)
def test_a_receipt_moves_the_state_forward(told, kind, state):
    assert told.receipt(told.notification, kind).outcome == state
    assert told.stored(told.notification).state == state


def test_a_state_never_goes_back(told):
    told.receipt(told.notification, "read")
    assert told.receipt(told.notification).outcome == "ignored"
    assert told.stored(told.notification).state is State.READ


def test_a_receipt_may_name_several_messages(told):
    second = told.tell(2)
    node = receipt_of(told.siti, told.notification.message_id, "read")
    item = Node("item", {"id": second.message_id})
    told.receive(Node(node.tag, node.attrs, (Node("list", {}, (item,)),)))
    assert [told.stored(one).state for one in (told.notification, second)] == [State.READ, State.READ]


def test_a_receipt_of_somebody_else_moves_nothing(told):
    mallory = told.network.person("6281111111111", "6666")
    report = told.receive(receipt_of(mallory, told.notification.message_id))
    assert report.outcome == "ignored"
    assert told.stored(told.notification).state is State.SENT


@pytest.mark.parametrize("kind", ["sender", "read-self", "server-error", "hist_sync"])
def test_receipts_that_say_nothing_of_the_recipient(told, kind):
    assert told.receipt(told.notification, kind).outcome == "ignored"


def test_receipts_of_our_own_devices_say_nothing(told):
    assert told.receive(receipt_of(told.paired.own, told.notification.message_id)).outcome == "ignored"


def test_a_receipt_proves_wrong_what_was_given_up(told):
    notification = told.plan(2)
    told.network.lose_acks = 4
    for receives in range(1, 5):
        told.deliver(notification, receives)
    assert told.stored(notification).state is State.FAILED
    told.receipt(notification)
    assert told.stored(notification).state is State.DELIVERED


# -- our own devices -------------------------------------------------------------------------------------


def own_message(wired: WiredFunctions, plain: bytes, stanza_id: str = "O1", **attrs: object) -> Node:
    phone = wired.paired.own.devices[0]
    ciphertext = phone.encrypt(plain)
    return wrapped(phone, wired.paired.own, stanza_id, ciphertext, **attrs)


def test_what_the_owner_writes_elsewhere_is_confirmed_as_the_senders(told):
    copy = device_sent(told.siti.user, text_message("dari ponsel"))
    report = told.receive(own_message(told, copy, recipient=told.siti.user))
    assert (report.outcome, replies(told)) == ("own-device", [])
    assert written(told) == [("receipt", "sender")]
    assert str(told.network.written[0].attr_jid("recipient")) == "1234@lid"


def test_an_unreadable_copy_of_the_owners_is_confirmed_and_not_asked_for(told):
    phone = told.paired.own.devices[0]
    good = phone.encrypt(b"\x0a\x01x")
    body = good.body[:-1] + bytes((good.body[-1] ^ 1,))
    told.receive(wrapped(phone, told.paired.own, "O2", Ciphertext(good.type, body), recipient=told.siti.user))
    assert written(told) == [("receipt", "sender")]


def test_addresses_told_by_the_own_phone_are_learnt(told):
    from tocsin.whatsapp.proto.message_pb2 import LidMigrationPayload, Message

    payload = LidMigrationPayload()
    payload.mappings.add(pn=6287777777777, assigned_lid=4321)
    message = Message()
    message.protocol.type = 22
    message.protocol.lid_migration_mapping.payload = payload.SerializeToString()
    told.receive(own_message(told, message.SerializeToString(), category="peer"))
    assert told.paired.keys.contacts.address("6287777777777@s.whatsapp.net")["lid"] == "4321@lid"
    assert written(told) == [("receipt", "peer_msg")]


def test_a_stranger_may_not_speak_for_the_account(told):
    from tocsin.whatsapp.proto.message_pb2 import LidMigrationPayload, Message

    payload = LidMigrationPayload()
    payload.mappings.add(pn=6287777777777, assigned_lid=6666)
    message = Message()
    message.protocol.type = 22
    message.protocol.lid_migration_mapping.payload = payload.SerializeToString()
    device = told.siti.devices[0]
    report = told.receive(wrapped(device, told.siti, "X", device.encrypt(message.SerializeToString())))
    assert report.cause == "spoofed"
    assert told.paired.keys.contacts.address("6287777777777@s.whatsapp.net") is None


# -- notifications ---------------------------------------------------------------------------------------


def notification(wired: WiredFunctions, kind: str, child: Node, **attrs: object) -> Node:
    return Node(
        "notification",
        {"id": "n1", "type": kind, "t": "1800000000", "from": wired.siti.user, **attrs},
        (child,),
    )


def test_a_device_that_was_added_gets_the_next_message(told):
    told.siti.devices[2] = Device(told.siti.user.with_device(2))
    added = Node("add", {}, (Node("device", {"jid": told.siti.user.with_device(2)}),))
    assert told.receive(notification(told, "devices", added)).outcome == "devices-changed"
    told.tell(2)
    assert texts(told.siti.devices[2]) == ["Tiket 2"]


def test_a_device_that_was_removed_is_forgotten(told):
    gone = told.siti.devices.pop(1)
    removed = Node("remove", {}, (Node("device", {"jid": gone.jid}),))
    told.receive(notification(told, "devices", removed))
    assert told.paired.keys.sending.session_facts(told.paired.profile, "1234@lid", 1) is None
    told.tell(2)
    assert texts(gone) == ["Tiket 1"]


def test_a_reinstall_told_by_the_server_leads_to_a_new_session_at_the_next_send(told):
    told.reply("ok")
    told.siti.devices[0].reinstall()
    report = told.receive(notification(told, "encrypt", Node("identity")))
    assert report.outcome == "identity-changed"
    told.tell(2)
    assert told.network.retries == []
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"


def test_a_new_identity_in_a_message_is_accepted_and_reported(told):
    told.siti.devices[0].reinstall()
    told.siti.devices[0].begin(our_bundle(told))
    report = told.reply("HP baru")
    assert report.facts["identity_changed"] is True
    told.tell(2)
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"


def test_a_new_own_device_gets_its_copies(told):
    told.paired.own.devices[7] = Device(told.paired.own.user.with_device(7))
    own = Node("devices", {"dhash": "2:x"}, (Node("device", {"jid": told.paired.own.user.with_device(7)}),))
    told.receive(notification(told, "account_sync", own, **{"from": told.paired.own.pn}))
    told.tell(2)
    assert texts(told.paired.own.devices[7]) == ["Tiket 2"]


def reachout_lock(active: bool, ends: str = "") -> Node:
    lock = {"is_active": active} | ({"time_enforcement_ends": ends} if ends else {})
    text = json.dumps({"data": {"xwa2_notify_account_reachout_timelock": lock}}).encode()
    return Node("update", {"op_name": "NotificationUserReachoutTimelockUpdate"}, text)


def test_a_restriction_that_whatsapp_tells_of_is_remembered_with_its_end_and_its_lifting(told):
    from_server = {"from": SERVER}
    told.receive(notification(told, "mex", reachout_lock(True, "1900000000"), **from_server))
    limit = told.paired.keys.account.limit("first-contacts")
    assert (limit.until, limit.cause) == (1_900_000_000, "reachout-lock")
    told.receive(notification(told, "mex", reachout_lock(False), id="n2", **from_server))
    assert told.paired.keys.account.limit("first-contacts") is None


@pytest.mark.parametrize("kind", ["picture", "server_sync", "privacy_token", "unheard-of"])
def test_other_news_are_ignored(told, kind):
    assert told.receive(notification(told, kind, Node("x"))).outcome == "ignored"


# -- what doesn't belong ---------------------------------------------------------------------------------


def test_a_stanza_of_an_earlier_pairing_is_refused(told):
    node = message_from(told.siti.devices[0], told.siti, "R1", "ok")
    report = told.receive(node, incarnation=told.paired.profile.incarnation - 1)
    assert (report.outcome, report.cause) == ("refused", "other-pairing")
    assert told.network.written == []


def test_a_receipt_of_an_earlier_pairing_moves_nothing(told):
    node = receipt_of(told.siti, told.notification.message_id)
    assert told.receive(node, incarnation=told.paired.profile.incarnation - 1).outcome == "refused"
    assert told.stored(told.notification).state is State.SENT


def test_a_stanza_of_a_pairing_that_this_container_has_not_seen_is_read(told):
    told.receive(receipt_of(told.siti, told.notification.message_id))  # the profile is remembered now
    told.paired.pair(5)
    node = receipt_of(told.siti, told.notification.message_id, "read")
    assert told.receive(node).outcome == "read"


def test_a_call_is_ignored(wired):
    assert wired.receive(Node("call", {"id": "c", "from": wired.siti.user})).outcome == "ignored"


def test_a_group_message_is_not_taken_for_a_reply(told):
    device = told.siti.devices[0]
    ciphertext = device.encrypt(text_message("halo grup"))
    enc = Node("enc", {"v": "2", "type": ciphertext.type}, ciphertext.body)
    attrs = {
        "id": "g1",
        "from": JID("120363000000000000", "g.us"),
        "participant": device.jid,
        "participant_pn": JID("6281234567890", PN),
        "t": "1800000000",
        "type": "text",
    }
    assert told.receive(Node("message", attrs, (enc,))).outcome == "other"
    assert replies(told) == []


@pytest.mark.parametrize(
    "attrs", [{}, {"id": "x"}, {"from": JID("1234", "lid")}, {"id": "x", "from": "not a jid", "t": "1"}]
)
@pytest.mark.parametrize("tag", ["message", "receipt", "notification"])
def test_malformed_stanzas_are_named(wired, tag, attrs):
    assert wired.receive(Node(tag, attrs)).outcome in ("malformed", "ignored")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        json.dumps({"stanza": "!!"}),
        json.dumps({"stanza": base64.b64encode(b"not zlib").decode()}),
        json.dumps({"stanza": base64.b64encode(zlib.compress(bytes(2 * 1024 * 1024))).decode()}),
        json.dumps({"stanza": base64.b64encode(zlib.compress(encode(Node("receipt")))[:-3]).decode()}),
    ],
)
def test_malformed_envelopes_are_named_and_not_brought_again(wired, body):
    assert wired.inbound.handle(body).outcome == "malformed"


def test_a_padding_that_is_none_is_still_confirmed(told):
    device = told.siti.devices[0]
    from tocsin.signal.session import send

    device.record, ciphertext = send(device.record, local=device.local, plaintext=pad(b"\xff\xff", b"\x01"))
    report = told.receive(wrapped(device, told.siti, "P", ciphertext))
    assert report.outcome == "malformed"
    [answer] = told.network.written
    assert (answer.tag, answer.attrs["error"], answer.attrs["id"]) == ("ack", "491", "P")


# -- read receipts ---------------------------------------------------------------------------------------


@pytest.fixture
def attentive(told):
    told.restart(read_receipts=True)
    return told


def test_a_reply_is_marked_as_read_where_that_is_wanted(attentive):
    attentive.reply("Terima kasih")
    assert written(attentive) == [("receipt", "inactive"), ("receipt", "read")]
    receipt = attentive.network.written[-1]
    assert (str(receipt.attr_jid("to")), receipt.attrs["id"], "participant" in receipt.attrs) == (
        "1234@lid",
        "R1",
        False,
    )


def test_only_replies_are_marked_as_read(attentive):
    device = attentive.siti.devices[0]
    attentive.receive(wrapped(device, attentive.siti, "X", device.encrypt(TIMER)))
    assert written(attentive) == [("receipt", "inactive")]


@pytest.mark.parametrize("value", ["none", "contacts"])
def test_an_owner_who_tells_nobody_what_they_read_tells_nobody(attentive, value):
    category = Node("category", {"name": "readreceipts", "value": value})
    attentive.network.privacy = Node("privacy", {}, (category,))
    attentive.reply("Terima kasih")
    assert written(attentive)[-1] == ("receipt", "read-self")


def test_the_owner_s_settings_are_asked_for_once_an_hour(attentive):
    for number in range(3):
        attentive.reply("ok", f"R{number}")
    attentive.paired.now += 3599
    attentive.reply("ok", "R8")
    assert attentive.network.queries.count("privacy settings") == 1
    attentive.paired.now += 1
    attentive.reply("ok", "R9")
    assert attentive.network.queries.count("privacy settings") == 2


def test_settings_that_can_t_be_read_count_as_switched_off(attentive):
    attentive.network.privacy = Node("error", {"code": "500"})
    attentive.reply("ok")
    assert written(attentive)[-1] == ("receipt", "read-self")
