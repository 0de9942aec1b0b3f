"""Notifications to a group: once for all, the key to those who lack it, and nobody who is out reads on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_groups import WiredGroup, texts
from tests.support.wired_steps import replies
from tocsin.dynamo.writes import Delete
from tocsin.multidevice import directory, group_members, group_send
from tocsin.multidevice.group_members import remembered
from tocsin.multidevice.uploads import Uploads
from tocsin.notify.attachments import Stored
from tocsin.notify.content import Attachment, File
from tocsin.notify.notification import State
from tocsin.signal.wire import parse_sender_key_message
from tocsin.tables.keys import group_pk
from tocsin.whatsapp import usync
from tocsin.whatsapp.jid import JID, phash
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message, MessageKey, ProtocolMessage
from tocsin_whatsapp_server.companion import Companion
from tocsin_whatsapp_server.directory import SignedPreKey


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount, request: pytest.FixtureRequest) -> WiredGroup:
    return WiredGroup(account.furnish(), mode=getattr(request, "param", "lid"))


in_both_modes = pytest.mark.parametrize("wired", ["lid", "pn"], indirect=True)


def addressed(wired: WiredGroup, message: int = -1) -> list[str]:
    """Who was sent the key with a message."""
    participants = wired.line.sent[message].child("participants")
    entries = participants.children("to") if participants is not None else ()
    return sorted(str(to.attr_jid("jid")) for to in entries)


@in_both_modes
def test_every_member_reads_it(wired):
    wired.tell_group(1)
    wired.tell_group(2)
    for phone in (*wired.colleagues,):
        assert texts(phone) == ["Tiket 1", "Tiket 2"]
        assert not any(entry.failures for entry in phone.messages())
    assert [entry.text for entry in wired.phone.from_own_devices()] == ["Tiket 1", "Tiket 2"]


@in_both_modes
def test_the_key_goes_out_once_and_to_every_device_but_ours(wired):
    server = wired.group.server
    wired.tell_group(1)
    wired.tell_group(2)
    assert addressed(wired, 0) == sorted(
        str(device.address(server)) for device in wired.group.devices if device is not wired.line.device
    )
    assert addressed(wired, 1) == []
    assert wired.audit()["message_keys_reused"] == 0


@in_both_modes
def test_the_stanza_names_mode_and_hash_of_all_devices(wired):
    wired.tell_group(1)
    [stanza] = wired.line.sent
    assert stanza.attr_str("addressing_mode") == wired.group.mode
    assert stanza.attr_str("phash") == phash(
        device.address(wired.group.server) for device in wired.group.devices
    )
    assert stanza.child("tctoken") is None


def test_what_is_remembered_is_not_asked_again(wired):
    wired.tell_group(1)
    assert wired.line.queries() == ["w:g2", "usync", "encrypt"]
    wired.tell_group(2)
    assert wired.line.queries() == []


def test_a_known_group_costs_four_requests_for_keys_whatever_its_size(wired):
    wired.tell_group(1)
    notification, requests = wired.plan_for_group(2), []
    wired.paired.observe(requests.append)
    wired.deliver(notification)
    assert requests == ["get", "get_many", "update", "get"]


def test_devices_and_bundles_are_asked_for_in_parts(wired, monkeypatch):
    """A hundred at a time, and three in this test."""
    for module in (usync, directory):
        assert module.MAX_PER_REQUEST == 100
        monkeypatch.setattr(module, "MAX_PER_REQUEST", 3)
    wired.tell_group(1)
    asked: dict[str, list[int]] = {"usync": [], "encrypt": []}
    for node in wired.line.asked:
        listed = node.child("key") or (node.child("usync") and node.require_child("usync").child("list"))
        if listed is not None:
            asked[node.attr_str("xmlns")].append(len(listed.children("user")))
    assert asked == {"usync": [3, 1], "encrypt": [3, 1]}
    assert len(addressed(wired)) == 4
    assert texts(wired.colleagues[2]) == ["Tiket 1"]


def test_after_a_day_group_and_devices_are_asked_for_again(wired):
    wired.tell_group(1)
    wired.line.queries()
    wired.paired.now += 24 * 3600 + 1
    wired.tell_group(2)
    assert wired.line.queries() == ["w:g2", "usync"]
    assert texts(wired.colleagues[0]) == ["Tiket 1", "Tiket 2"]


class Bucket:
    """One file."""

    name = "files"

    def read(self, attachment: Attachment) -> Stored:
        return Stored(b"%PDF-1.7 the ticket", "1")


def test_a_file_reaches_every_member_and_once_more_who_asks_for_it(wired):
    wired.paired.uploads = lambda: Uploads(Bucket(), clock=lambda: wired.paired.now)  # type: ignore[arg-type]
    wired.restart()
    wired.tell_group(1)
    siti, budi, _ = wired.colleagues
    budi.forget_sender_keys()
    attachment = Attachment("ticket.pdf", "ticket.pdf", "application/pdf")
    notification = replace(wired.plan_for_group(2), id="ab" * 9, content=File(attachment, "your ticket"))
    wired.stores.notifications.put_new(notification)
    assert wired.deliver(notification).outcome == "sent"
    wired.hear()
    assert [phone.messages()[-1].kind for phone in (siti, budi)] == ["document", "document"]
    assert budi.messages()[-1].failures == ["NoSession"]
    sent, again = wired.line.sent[1:]
    assert [node.attr_str("type") for node in (sent, again)] == ["media", "media"]
    assert sent.require_child("enc").attr_str("mediatype") == "document"


def test_a_group_that_we_are_added_to_makes_itself_known(wired):
    told = {jid: remembered(told)[0].subject for jid, told, _ in wired.paired.keys.groups.all()}
    assert told == {str(wired.group.jid): "Technicians"}


# -- who may write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "code"), [("announcement", "admins-only"), ("suspended", "group-suspended")]
)
def test_where_we_may_not_write_the_reason_is_said_and_nothing_sent(wired, setting, code):
    wired.tell_group(1)
    wired.local.board.groups.set(wired.group, creator=wired.colleagues[0].account, **{setting: True})
    wired.group.members[wired.phone.account] = ""
    wired.paired.keys.groups.forget(str(wired.group.jid))
    verdict = wired.deliver(wired.plan_for_group(2))
    assert (verdict.outcome, verdict.cause) == ("failed", code)
    assert len(wired.line.sent) == 1


def test_an_admin_may_write_where_only_admins_may(wired):
    wired.local.board.groups.set(wired.group, announcement=True)
    wired.tell_group(1)
    assert texts(wired.colleagues[0]) == ["Tiket 1"]


def test_a_group_that_we_left_or_that_nobody_made_is_a_dead_letter_at_once(wired):
    wired.remove(wired.phone)
    wired.hear()
    verdict = wired.deliver(wired.plan_for_group(1))
    assert (verdict.outcome, verdict.cause) == ("failed", "not-in-group")
    wired.group.id = "120363999999999999"
    verdict = wired.deliver(wired.plan_for_group(2))
    assert (verdict.outcome, verdict.cause) == ("failed", "unknown-group")


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_KEY_HOLDERS"])
def test_a_giant_group_is_a_dead_letter_at_once(wired, monkeypatch, limit):
    """What is known of it would fit into no item of the table."""
    monkeypatch.setattr(group_members, limit, 3)
    wired.paired.keys.groups.forget(str(wired.group.jid))
    verdict = wired.deliver(wired.plan_for_group(1))
    assert (verdict.outcome, verdict.cause) == ("failed", "group-too-large")
    assert wired.line.sent == []


def test_what_is_remembered_of_a_group_is_checked_before_it_fails_for_good(wired):
    """The notification that made us an admin was lost."""
    wired.local.board.groups.set(wired.group, announcement=True)
    wired.group.members[wired.phone.account] = ""
    wired.paired.keys.groups.forget(str(wired.group.jid))
    assert wired.deliver(wired.plan_for_group(1)).cause == "admins-only"
    wired.group.members[wired.phone.account] = "admin"
    wired.tell_group(2)
    assert texts(wired.colleagues[0]) == ["Tiket 2"]


# -- members come and go -----------------------------------------------------------------------------------


def key_of(stanza: Node) -> int:
    return parse_sender_key_message(stanza.require_child("enc").bytes()).key_id


@in_both_modes
def test_who_was_removed_can_read_nothing_more(wired):
    _, budi, dewi = wired.colleagues
    wired.tell_group(1)
    wired.remove(dewi)
    wired.hear()
    wired.tell_group(2)
    assert texts(budi) == ["Tiket 1", "Tiket 2"]
    assert texts(dewi) == ["Tiket 1"]
    assert key_of(wired.line.sent[0]) != key_of(wired.line.sent[1])
    assert not any(str(dewi.account.lid_user) in jid for jid in addressed(wired))


def test_a_removal_of_which_we_never_heard_is_seen_in_the_hash_and_the_next_key_is_new(wired):
    _, budi, dewi = wired.colleagues
    wired.tell_group(1)
    wired.remove(dewi)
    wired.line.got.clear()
    wired.tell_group(2)
    wired.tell_group(3)
    assert texts(dewi) == ["Tiket 1"]
    assert texts(budi) == ["Tiket 1", "Tiket 2", "Tiket 3"]
    assert key_of(wired.line.sent[1]) != key_of(wired.line.sent[2])


def test_who_joins_gets_the_key_with_the_next_message(wired):
    wired.tell_group(1)
    agus = wired.local.phone("6281200000009", "Agus")
    wired.add(agus)
    wired.hear()
    wired.tell_group(2)
    assert texts(agus) == ["Tiket 2"]
    assert addressed(wired) == [str(agus.device.address(wired.group.server))]
    assert key_of(wired.line.sent[0]) == key_of(wired.line.sent[1])


@in_both_modes
def test_who_joined_without_our_knowledge_gets_the_message_alone(wired):
    wired.tell_group(1)
    agus = wired.local.phone("6281200000009", "Agus")
    wired.add(agus)
    wired.line.got.clear()
    wired.tell_group(2)
    [entry] = agus.messages()
    assert entry.text == "Tiket 2"
    alone = wired.line.sent[2]
    assert alone.attr_jid("participant") == agus.device.address(wired.group.server)
    assert [enc.attr_str("type") for enc in alone.children("enc")] == ["pkmsg"]
    wired.tell_group(3)
    assert texts(agus) == ["Tiket 2", "Tiket 3"]
    assert wired.audit()["message_keys_reused"] == 0


def test_a_companion_that_is_linked_reads_the_next_one(wired):
    siti = wired.colleagues[0]
    wired.tell_group(1)
    companion = Companion(siti.account, wired.local.board, phone=siti.identity)
    wired.hear()
    wired.tell_group(2)
    assert texts(companion) == ["Tiket 2"]
    assert addressed(wired) == [str(companion.device.address(wired.group.server))]


def test_a_companion_that_nobody_vouches_for_gets_no_key_and_is_named(wired):
    siti = wired.colleagues[0]
    stranger = Companion(siti.account, wired.local.board)
    notification = wired.tell_group(1)
    assert texts(stranger) == []
    sent, asked = wired.stored(notification).attempts
    assert (sent.cause, asked.detail) == ("sent", "unproven-device")
    assert sent.left_out == {str(stranger.device.lid): "no sender key: unproven device"}


def test_a_companion_that_is_unlinked_makes_a_new_key(wired):
    siti = wired.colleagues[0]
    companion = Companion(siti.account, wired.local.board, phone=siti.identity)
    wired.tell_group(1)
    wired.local.board.unlink(companion.device)
    wired.hear()
    wired.tell_group(2)
    assert key_of(wired.line.sent[0]) != key_of(wired.line.sent[1])
    assert texts(siti) == ["Tiket 1", "Tiket 2"]


def test_a_hash_that_stays_another_one_is_asked_about_once(wired):
    """Whom the server counts we can't always tell; not every message may ask for every device."""
    wired.local.board.groups.set(wired.group)
    wired.tell_group(1)
    wired.line.queries()
    right = type(wired.group).devices
    hidden = wired.local.phone("6281200000009", "Hosted").device
    try:
        type(wired.group).devices = property(lambda group: [*right.fget(group), hidden])
        for number in (2, 3, 4):
            wired.tell_group(number)
    finally:
        type(wired.group).devices = right
    assert wired.line.queries() == ["w:g2", "usync"]


@in_both_modes
def test_a_group_that_changed_its_mode_is_written_to_in_the_new_one_under_the_same_id(wired):
    wired.tell_group(1)
    other = "pn" if wired.group.mode == "lid" else "lid"
    wired.local.board.groups.set(wired.group, mode=other)
    wired.tell_group(2)
    refused, sent = wired.line.sent[1:]
    assert refused.attr_str("id") == sent.attr_str("id")
    assert sent.attr_str("addressing_mode") == other
    assert texts(wired.colleagues[0]) == ["Tiket 1", "Tiket 2"]
    assert wired.audit()["message_keys_reused"] == 0


# -- what goes wrong ---------------------------------------------------------------------------------------


@in_both_modes
@pytest.mark.parametrize(
    "fault", ["forget_sender_keys", "corrupt_sender_keys", "forget_sessions", "corrupt_sessions", "reinstall"]
)
def test_a_member_who_lost_something_heals_and_nobody_else_hears_of_it(wired, fault):
    siti, budi, _ = wired.colleagues
    wired.tell_group(1)
    getattr(budi, fault)()
    wired.hear()
    wired.tell_group(2)
    wired.tell_group(3)
    assert texts(budi) == ["Tiket 1", "Tiket 2", "Tiket 3"]
    assert [len(entry.at) for entry in siti.messages()] == [1, 1, 1]
    for again in (node for node in wired.line.sent if "participant" in node.attrs):
        assert again.attr_jid("participant") == budi.device.address(wired.group.server)
        assert "phash" not in again.attrs
    assert wired.audit()["message_keys_reused"] == 0


@in_both_modes
def test_a_device_of_a_member_that_whatsapp_does_not_list_gets_nothing(wired):
    """The keys are good, their owner is in the group, and nobody ever linked such a device."""
    wired.tell_group(1)
    budi = wired.colleagues[1]
    budi.forget_sender_keys()
    wired.deliver(wired.plan_for_group(2))
    [honest] = [node for node in wired.line.got if node.attrs.get("type") == "retry"]
    assert honest.child("keys") is not None
    stray = honest.attr_jid("participant").with_device(77)
    wired.line.sent.clear()
    report = wired.receive(Node("receipt", {**honest.attrs, "participant": stray}, honest.content))
    assert (report.outcome, wired.line.sent) == ("unknown-device", [])
    wired.hear()
    assert texts(budi) == ["Tiket 1", "Tiket 2"]


def test_the_history_of_a_large_group_names_some_and_heals_all(wired, monkeypatch):
    """One item of the table holds it, at each of some tries."""
    monkeypatch.setattr(group_send, "MAX_TOLD", 1)
    notification = wired.tell_group(1)
    [sent] = [attempt for attempt in wired.stored(notification).attempts if attempt.cause == "sent"]
    group = str(wired.group.jid)
    assert (len(sent.copies), len(sent.numbers)) == (2, 2)
    assert group in sent.copies
    assert group in sent.numbers
    for colleague in wired.colleagues:
        colleague.forget_sessions()
    wired.paired.keys.groups.discard_sender_key(wired.paired.profile, group)
    wired.tell_group(2)
    assert [texts(colleague) for colleague in wired.colleagues] == [["Tiket 1", "Tiket 2"]] * 3


def test_a_member_who_lost_our_key_needs_no_new_session(wired):
    budi = wired.colleagues[1]
    wired.tell_group(1)
    budi.forget_sender_keys()
    wired.line.queries()
    wired.tell_group(2)
    [again] = [node for node in wired.line.sent if "participant" in node.attrs]
    assert again.require_child("enc").attr_str("count") == "1"
    assert texts(budi) == ["Tiket 1", "Tiket 2"]
    wired.tell_group(3)
    assert addressed(wired) == [str(budi.device.address(wired.group.server))]


def test_who_installed_anew_gets_the_key_without_having_to_ask(wired):
    budi = wired.colleagues[1]
    wired.tell_group(1)
    wired.paired.now += 1
    budi.reinstall()
    wired.hear()
    wired.tell_group(2)
    assert addressed(wired) == [str(budi.device.address(wired.group.server))]
    assert not budi.messages()[-1].failures


def test_who_was_removed_gets_nothing_by_asking_again(wired):
    dewi = wired.colleagues[2]
    dewi.forget_sender_keys()
    wired.tell_group(1)
    dewi.go_offline()
    notification = wired.plan_for_group(2)
    wired.deliver(notification)
    wired.remove(dewi)
    wired.hear()
    dewi.forget_sender_keys()
    before = len(wired.line.sent)
    dewi.go_online()
    assert "foreign-device" in {report.outcome for report in wired.hear()} or len(wired.line.sent) == before
    assert texts(dewi) == ["Tiket 1"]


def test_a_bad_bundle_costs_its_device_the_key_and_not_the_group_its_message(wired):
    siti, budi, _ = wired.colleagues
    signed = budi.device.signed_prekey
    budi.device.signed_prekey = SignedPreKey(signed.id, signed.public, bytes(64))
    notification = wired.tell_group(1)
    assert texts(siti) == ["Tiket 1"]
    sent = next(attempt for attempt in wired.stored(notification).attempts if attempt.cause == "sent")
    assert list(sent.left_out.values()) == ["no sender key: no session"]
    assert texts(budi) == ["Tiket 1"], "it asked, with keys of its own"


@pytest.mark.parametrize(
    ("xmlns", "code", "outcome"),
    [
        ("w:g2", 500, "retry"),
        ("w:g2", 429, "parked"),
        ("usync", 503, "retry"),
        ("usync", 429, "parked"),
        ("encrypt", 429, "parked"),
    ],
)
def test_what_whatsapp_won_t_tell_now_is_asked_for_later(wired, xmlns, code, outcome):
    wired.local.board.inject(
        wired.local.board.faults.make({"kind": "iq-error", "code": code, "xmlns": xmlns, "n": 1})
    )
    wired.paired.keys.groups.forget(str(wired.group.jid))
    notification = wired.plan_for_group(1)
    assert wired.deliver(notification).outcome == outcome
    assert wired.line.sent == []


def test_bundles_that_are_refused_now_cost_nobody_who_has_the_key(wired):
    """A new member's bundle can't be had: the others read on, and he asks."""
    wired.tell_group(1)
    agus = wired.local.phone("6281200000009", "Agus")
    wired.add(agus)
    wired.hear()
    wired.local.board.faults.make({"kind": "iq-error", "code": 500, "xmlns": "encrypt", "n": 1})
    wired.tell_group(2)
    assert [texts(phone) for phone in wired.colleagues] == [["Tiket 1", "Tiket 2"]] * 3
    assert texts(agus) == ["Tiket 2"]


def test_a_message_whose_ack_was_lost_is_the_same_message_again(wired):
    from tocsin.connector_client.errors import AckTimeout

    notification = wired.plan_for_group(1)
    properly = wired.line._taken
    wired.line._taken = lambda tag, identity: (  # type: ignore[method-assign]
        (_ for _ in ()).throw(AckTimeout("none")) if tag == "ack" else properly(tag, identity)
    )
    assert wired.deliver(notification).outcome == "retry"
    wired.line._taken = properly  # type: ignore[method-assign]
    assert wired.deliver(notification).outcome == "sent"
    first, second = wired.line.sent
    assert first.attr_str("id") == second.attr_str("id")
    assert addressed(wired, 0) == addressed(wired, 1), "nobody is known to have the key"
    assert texts(wired.colleagues[0]) == ["Tiket 1"]
    assert wired.audit()["message_keys_reused"] == 0


def test_every_colleague_s_receipts_stand_in_the_history(wired):
    notification = wired.tell_group(1)
    stored = wired.stored(notification)
    assert stored.state is State.DELIVERED
    assert len([entry for entry in stored.receipts if entry.endswith("delivered")]) == 3
    wired.colleagues[1].read(notification.message_id)
    wired.hear()
    assert wired.stored(notification).state is State.READ


@in_both_modes
def test_receipts_gathered_by_the_server_are_told_apart(wired):
    notification = wired.plan_for_group(1)
    wired.deliver(notification)
    wired.line.got.clear()
    users = tuple(
        Node("user", {"jid": phone.account.bare(wired.group.server), "t": "1"}) for phone in wired.colleagues
    )
    gathered = Node("participants", {"key": notification.message_id}, users)
    attrs = {"id": notification.message_id, "from": wired.group.jid, "t": "1"}
    report = wired.receive(Node("receipt", attrs, (gathered,)))
    assert report.outcome == "delivered"
    assert len(wired.stored(notification).receipts) == 3


# -- what members write ------------------------------------------------------------------------------------


def test_what_members_write_to_each_other_is_confirmed_and_left_alone(wired):
    siti = wired.colleagues[0]
    sent = siti.write(wired.group, "who is near?")
    reports = wired.hear()
    assert [report.cause for report in reports if report.kind == "message"] == ["group-talk"]
    assert f"{wired.line.device}" in sent.receipts["delivered"]
    assert replies(wired) == []
    siti.write(wired.group, "nobody?")
    assert [report.outcome for report in wired.hear() if report.kind == "message"] == ["other"]


@in_both_modes
def test_what_quotes_a_notification_is_a_reply_to_its_ticket(wired):
    notification = wired.tell_group(1)
    siti = wired.colleagues[0]
    siti.write(wired.group, "I go", quote=notification.message_id)
    wired.hear()
    [reply] = replies(wired)
    assert (reply["text"], reply["ticket_id"], reply["audience"]) == ("I go", "TCK-1", "group")
    assert (reply["recipient"], reply["group"]) == (siti.account.number, str(wired.group.jid))


def changing(kind: int, of: str, text: str = "") -> Message:
    """An edit (14) or a deletion (0)."""
    said = Message(conversation=text)
    return Message(protocol=ProtocolMessage(type=kind, key=MessageKey(id=of), edited_message=said))


@pytest.mark.parametrize(("change", "kind"), [(14, "edit"), (0, "deleted")])
def test_a_change_of_an_answer_is_told_about_its_ticket(wired, change, kind):
    notification = wired.tell_group(1)
    siti = wired.colleagues[0]
    answer = siti.write(wired.group, "I go", quote=notification.message_id)
    changed = siti.say(wired.group, changing(change, answer.id, "STOP"))
    wired.hear()
    told = next(reply for reply in replies(wired) if reply["message_id"] == changed.id)
    assert (told["kind"], told["about_message_id"], told["ticket_id"]) == (kind, answer.id, "TCK-1")
    assert "consent" not in told


@pytest.mark.parametrize("of", ["another member's", "talk"])
def test_a_change_of_anything_else_is_talk(wired, of):
    notification = wired.tell_group(1)
    siti, budi = wired.colleagues[:2]
    quoted = notification.message_id if of != "talk" else None
    written = (budi if of != "talk" else siti).write(wired.group, "I go", quote=quoted)
    changed = siti.say(wired.group, changing(14, written.id, "I don't"))
    wired.hear()
    assert changed.id not in [reply["message_id"] for reply in replies(wired)]


@pytest.mark.parametrize("quoting", [True, False])
def test_stop_in_a_group_stops_nothing(wired, quoting):
    notification = wired.tell_group(1)
    siti = wired.colleagues[0]
    siti.write(wired.group, "STOP", quote=notification.message_id if quoting else None)
    wired.hear()
    assert len(replies(wired)) == int(quoting)
    for phone in (f"{siti.account.number}@s.whatsapp.net", str(wired.group.jid)):
        assert wired.stores.people.find("default", phone).opted_out_at is None
    wired.tell_group(2)
    assert texts(siti) == ["Tiket 1", "Tiket 2"]


@in_both_modes
def test_a_message_whose_key_we_lack_is_asked_for_with_keys_and_read(wired):
    siti = wired.colleagues[0]
    siti.write(wired.group, "first")
    wired.hear()
    pk = group_pk("default", wired.paired.profile.incarnation, str(wired.group.jid))
    for item in wired.paired.table.query(pk, "sender#"):
        wired.paired.table.delete(Delete((str(item["pk"]), str(item["sk"]))))
    notification = wired.tell_group(1)
    sent = siti.write(wired.group, "second", quote=notification.message_id)
    asked, read = [report for report in wired.hear() if report.kind == "message"]
    assert (asked.outcome, asked.cause, asked.facts["with_keys"]) == ("asked-again", "NoSession", True)
    assert read.outcome == "reply"
    assert sent.resent.total() == 1
    siti.write(wired.group, "third")
    assert [report.cause for report in wired.hear() if report.kind == "message"] == ["group-talk"]


def test_what_our_own_phone_writes_is_confirmed_as_ours(wired):
    wired.phone.write(wired.group, "from the phone")
    [report] = [report for report in wired.hear() if report.kind == "message"]
    assert report.outcome == "own-device"
    assert len(wired.line.device.mailbox) == 0


def test_a_key_for_another_group_is_not_taken(wired):
    """Or anybody could fill our table with keys of groups that don't exist."""
    siti = wired.colleagues[0]
    other = wired.found([siti])
    wired.hear()
    siti._group_keys.own(str(other.jid))
    wrong = siti._outbox._with_sender_key

    siti._outbox._with_sender_key = lambda group, message=b"": wrong(other, message)  # type: ignore[method-assign]
    siti.write(wired.group, "hello")
    reports = [report for report in wired.hear() if report.kind == "message"]
    assert reports[0].outcome == "asked-again"
    pk = group_pk("default", wired.paired.profile.incarnation, str(other.jid))
    assert wired.paired.table.query(pk, "sender#") == []


def test_a_malformed_group_stanza_is_no_end_of_the_world(wired):
    attrs = {"from": wired.group.jid, "id": "X", "t": "1", "type": "text"}
    enc = Node("enc", {"v": "2", "type": "skmsg"}, b"\x33nonsense")
    for participant in (None, JID("", "lid"), wired.colleagues[0].device.lid):
        more = {} if participant is None else {"participant": participant}
        report = wired.receive(Node("message", {**attrs, **more}, (enc,)))
        assert report.outcome in ("malformed", "asked-again")
