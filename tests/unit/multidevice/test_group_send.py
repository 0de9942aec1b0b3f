"""Notifications to a group: once for all, the key to those who lack it, and nobody who is out reads on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.wired_groups import GroupHouse, texts
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
from tocsin_whatsapp_server.directory import SignedPreKey
from tocsin_whatsapp_server.phone import Companion


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def house(account: MemoryAccount, request: pytest.FixtureRequest) -> GroupHouse:
    return GroupHouse(account.furnish(), mode=getattr(request, "param", "lid"))


in_both_modes = pytest.mark.parametrize("house", ["lid", "pn"], indirect=True)


def addressed(house: GroupHouse, message: int = -1) -> list[str]:
    """Who was sent the key with a message."""
    participants = house.line.sent[message].child("participants")
    entries = participants.children("to") if participants is not None else ()
    return sorted(str(to.attr_jid("jid")) for to in entries)


@in_both_modes
def test_every_member_reads_it(house):
    house.tell_group(1)
    house.tell_group(2)
    for phone in (*house.colleagues,):
        assert texts(phone) == ["Tiket 1", "Tiket 2"]
        assert not any(entry.failures for entry in phone.messages())
    assert [entry.text for entry in house.phone.from_own_devices()] == ["Tiket 1", "Tiket 2"]


@in_both_modes
def test_the_key_goes_out_once_and_to_every_device_but_ours(house):
    server = house.group.server
    house.tell_group(1)
    house.tell_group(2)
    assert addressed(house, 0) == sorted(
        str(device.address(server)) for device in house.group.devices if device is not house.line.device
    )
    assert addressed(house, 1) == []
    assert house.audit()["message_keys_reused"] == 0


@in_both_modes
def test_the_stanza_names_mode_and_hash_of_all_devices(house):
    house.tell_group(1)
    [stanza] = house.line.sent
    assert stanza.attr_str("addressing_mode") == house.group.mode
    assert stanza.attr_str("phash") == phash(
        device.address(house.group.server) for device in house.group.devices
    )
    assert stanza.child("tctoken") is None


def test_what_is_remembered_is_not_asked_again(house):
    house.tell_group(1)
    assert house.line.queries() == ["w:g2", "usync", "encrypt"]
    house.tell_group(2)
    assert house.line.queries() == []


def test_a_known_group_costs_four_requests_for_keys_whatever_its_size(house):
    house.tell_group(1)
    notification, requests = house.plan_for_group(2), []
    house.stage.observe(requests.append)
    house.deliver(notification)
    assert requests == ["get", "get_many", "update", "get"]


def test_devices_and_bundles_are_asked_for_in_parts(house, monkeypatch):
    """A hundred at a time, and three in this test."""
    for module in (usync, directory):
        assert module.MAX_PER_REQUEST == 100
        monkeypatch.setattr(module, "MAX_PER_REQUEST", 3)
    house.tell_group(1)
    asked: dict[str, list[int]] = {"usync": [], "encrypt": []}
    for node in house.line.asked:
        listed = node.child("key") or (node.child("usync") and node.require_child("usync").child("list"))
        if listed is not None:
            asked[node.attr_str("xmlns")].append(len(listed.children("user")))
    assert asked == {"usync": [3, 1], "encrypt": [3, 1]}
    assert len(addressed(house)) == 4
    assert texts(house.colleagues[2]) == ["Tiket 1"]


def test_after_a_day_group_and_devices_are_asked_for_again(house):
    house.tell_group(1)
    house.line.queries()
    house.stage.now += 24 * 3600 + 1
    house.tell_group(2)
    assert house.line.queries() == ["w:g2", "usync"]
    assert texts(house.colleagues[0]) == ["Tiket 1", "Tiket 2"]


class Bucket:
    """One file."""

    name = "files"

    def read(self, attachment: Attachment) -> Stored:
        return Stored(b"%PDF-1.7 the ticket", "1")


def test_a_file_reaches_every_member_and_once_more_who_asks_for_it(house):
    house.stage.uploads = lambda: Uploads(Bucket(), clock=lambda: house.stage.now)  # type: ignore[arg-type]
    house.restart()
    house.tell_group(1)
    siti, budi, _ = house.colleagues
    budi.forget_sender_keys()
    attachment = Attachment("ticket.pdf", "ticket.pdf", "application/pdf")
    notification = replace(house.plan_for_group(2), id="ab" * 9, content=File(attachment, "your ticket"))
    house.stores.notifications.put_new(notification)
    assert house.deliver(notification).outcome == "sent"
    house.hear()
    assert [phone.messages()[-1].kind for phone in (siti, budi)] == ["document", "document"]
    assert budi.messages()[-1].failures == ["NoSession"]
    sent, again = house.line.sent[1:]
    assert [node.attr_str("type") for node in (sent, again)] == ["media", "media"]
    assert sent.require_child("enc").attr_str("mediatype") == "document"


def test_a_group_that_we_are_added_to_makes_itself_known(house):
    told = {jid: remembered(told)[0].subject for jid, told, _ in house.stage.keys.groups.all()}
    assert told == {str(house.group.jid): "Technicians"}


# -- who may write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "code"), [("announcement", "admins-only"), ("suspended", "group-suspended")]
)
def test_where_we_may_not_write_the_reason_is_said_and_nothing_sent(house, setting, code):
    house.tell_group(1)
    house.town.board.groups.set(house.group, creator=house.colleagues[0].account, **{setting: True})
    house.group.members[house.phone.account] = ""
    house.stage.keys.groups.forget(str(house.group.jid))
    verdict = house.deliver(house.plan_for_group(2))
    assert (verdict.outcome, verdict.cause) == ("failed", code)
    assert len(house.line.sent) == 1


def test_an_admin_may_write_where_only_admins_may(house):
    house.town.board.groups.set(house.group, announcement=True)
    house.tell_group(1)
    assert texts(house.colleagues[0]) == ["Tiket 1"]


def test_a_group_that_we_left_or_that_nobody_made_is_a_dead_letter_at_once(house):
    house.remove(house.phone)
    house.hear()
    verdict = house.deliver(house.plan_for_group(1))
    assert (verdict.outcome, verdict.cause) == ("failed", "not-in-group")
    house.group.id = "120363999999999999"
    verdict = house.deliver(house.plan_for_group(2))
    assert (verdict.outcome, verdict.cause) == ("failed", "unknown-group")


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_KEY_HOLDERS"])
def test_a_giant_group_is_a_dead_letter_at_once(house, monkeypatch, limit):
    """What is known of it would fit into no item of the table."""
    monkeypatch.setattr(group_members, limit, 3)
    house.stage.keys.groups.forget(str(house.group.jid))
    verdict = house.deliver(house.plan_for_group(1))
    assert (verdict.outcome, verdict.cause) == ("failed", "group-too-large")
    assert house.line.sent == []


def test_what_is_remembered_of_a_group_is_checked_before_it_fails_for_good(house):
    """The notification that made us an admin was lost."""
    house.town.board.groups.set(house.group, announcement=True)
    house.group.members[house.phone.account] = ""
    house.stage.keys.groups.forget(str(house.group.jid))
    assert house.deliver(house.plan_for_group(1)).cause == "admins-only"
    house.group.members[house.phone.account] = "admin"
    house.tell_group(2)
    assert texts(house.colleagues[0]) == ["Tiket 2"]


# -- members come and go -----------------------------------------------------------------------------------


def key_of(stanza: Node) -> int:
    return parse_sender_key_message(stanza.require_child("enc").bytes()).key_id


@in_both_modes
def test_who_was_removed_can_read_nothing_more(house):
    _, budi, dewi = house.colleagues
    house.tell_group(1)
    house.remove(dewi)
    house.hear()
    house.tell_group(2)
    assert texts(budi) == ["Tiket 1", "Tiket 2"]
    assert texts(dewi) == ["Tiket 1"]
    assert key_of(house.line.sent[0]) != key_of(house.line.sent[1])
    assert not any(str(dewi.account.lid_user) in jid for jid in addressed(house))


def test_a_removal_of_which_we_never_heard_is_seen_in_the_hash_and_the_next_key_is_new(house):
    _, budi, dewi = house.colleagues
    house.tell_group(1)
    house.remove(dewi)
    house.line.got.clear()
    house.tell_group(2)
    house.tell_group(3)
    assert texts(dewi) == ["Tiket 1"]
    assert texts(budi) == ["Tiket 1", "Tiket 2", "Tiket 3"]
    assert key_of(house.line.sent[1]) != key_of(house.line.sent[2])


def test_who_joins_gets_the_key_with_the_next_message(house):
    house.tell_group(1)
    agus = house.town.phone("6281200000009", "Agus")
    house.add(agus)
    house.hear()
    house.tell_group(2)
    assert texts(agus) == ["Tiket 2"]
    assert addressed(house) == [str(agus.device.address(house.group.server))]
    assert key_of(house.line.sent[0]) == key_of(house.line.sent[1])


@in_both_modes
def test_who_joined_without_our_knowledge_gets_the_message_alone(house):
    house.tell_group(1)
    agus = house.town.phone("6281200000009", "Agus")
    house.add(agus)
    house.line.got.clear()
    house.tell_group(2)
    [entry] = agus.messages()
    assert entry.text == "Tiket 2"
    alone = house.line.sent[2]
    assert alone.attr_jid("participant") == agus.device.address(house.group.server)
    assert [enc.attr_str("type") for enc in alone.children("enc")] == ["pkmsg"]
    house.tell_group(3)
    assert texts(agus) == ["Tiket 2", "Tiket 3"]
    assert house.audit()["message_keys_reused"] == 0


def test_a_companion_that_is_linked_reads_the_next_one(house):
    siti = house.colleagues[0]
    house.tell_group(1)
    companion = Companion(siti.account, house.town.board)
    house.hear()
    house.tell_group(2)
    assert texts(companion) == ["Tiket 2"]
    assert addressed(house) == [str(companion.device.address(house.group.server))]


def test_a_companion_that_is_unlinked_makes_a_new_key(house):
    siti = house.colleagues[0]
    companion = Companion(siti.account, house.town.board)
    house.tell_group(1)
    house.town.board.unlink(companion.device)
    house.hear()
    house.tell_group(2)
    assert key_of(house.line.sent[0]) != key_of(house.line.sent[1])
    assert texts(siti) == ["Tiket 1", "Tiket 2"]


def test_a_hash_that_stays_another_one_is_asked_about_once(house):
    """Whom the server counts we can't always tell; not every message may ask for every device."""
    house.town.board.groups.set(house.group)
    house.tell_group(1)
    house.line.queries()
    right = type(house.group).devices
    hidden = house.town.phone("6281200000009", "Hosted").device
    try:
        type(house.group).devices = property(lambda group: [*right.fget(group), hidden])
        for number in (2, 3, 4):
            house.tell_group(number)
    finally:
        type(house.group).devices = right
    assert house.line.queries() == ["w:g2", "usync"]


@in_both_modes
def test_a_group_that_changed_its_mode_is_written_to_in_the_new_one_under_the_same_id(house):
    house.tell_group(1)
    other = "pn" if house.group.mode == "lid" else "lid"
    house.town.board.groups.set(house.group, mode=other)
    house.tell_group(2)
    refused, sent = house.line.sent[1:]
    assert refused.attr_str("id") == sent.attr_str("id")
    assert sent.attr_str("addressing_mode") == other
    assert texts(house.colleagues[0]) == ["Tiket 1", "Tiket 2"]
    assert house.audit()["message_keys_reused"] == 0


# -- what goes wrong ---------------------------------------------------------------------------------------


@in_both_modes
@pytest.mark.parametrize(
    "fault", ["forget_sender_keys", "corrupt_sender_keys", "forget_sessions", "corrupt_sessions", "reinstall"]
)
def test_a_member_who_lost_something_heals_and_nobody_else_hears_of_it(house, fault):
    siti, budi, _ = house.colleagues
    house.tell_group(1)
    getattr(budi, fault)()
    house.hear()
    house.tell_group(2)
    house.tell_group(3)
    assert texts(budi) == ["Tiket 1", "Tiket 2", "Tiket 3"]
    assert [len(entry.at) for entry in siti.messages()] == [1, 1, 1]
    for again in (node for node in house.line.sent if "participant" in node.attrs):
        assert again.attr_jid("participant") == budi.device.address(house.group.server)
        assert "phash" not in again.attrs
    assert house.audit()["message_keys_reused"] == 0


@in_both_modes
def test_a_device_of_a_member_that_whatsapp_does_not_list_gets_nothing(house):
    """The keys are good, their owner is in the group, and nobody ever linked such a device."""
    house.tell_group(1)
    budi = house.colleagues[1]
    budi.forget_sender_keys()
    house.deliver(house.plan_for_group(2))
    [honest] = [node for node in house.line.got if node.attrs.get("type") == "retry"]
    assert honest.child("keys") is not None
    stray = honest.attr_jid("participant").with_device(77)
    house.line.sent.clear()
    report = house.receive(Node("receipt", {**honest.attrs, "participant": stray}, honest.content))
    assert (report.outcome, house.line.sent) == ("unknown-device", [])
    house.hear()
    assert texts(budi) == ["Tiket 1", "Tiket 2"]


def test_the_history_of_a_large_group_names_some_and_heals_all(house, monkeypatch):
    """One item of the table holds it, at each of some tries."""
    monkeypatch.setattr(group_send, "MAX_TOLD", 1)
    notification = house.tell_group(1)
    [sent] = [attempt for attempt in house.stored(notification).attempts if attempt.cause == "sent"]
    group = str(house.group.jid)
    assert (len(sent.copies), len(sent.numbers)) == (2, 2)
    assert group in sent.copies
    assert group in sent.numbers
    for colleague in house.colleagues:
        colleague.forget_sessions()
    house.stage.keys.groups.discard_sender_key(house.stage.profile, group)
    house.tell_group(2)
    assert [texts(colleague) for colleague in house.colleagues] == [["Tiket 1", "Tiket 2"]] * 3


def test_a_member_who_lost_our_key_needs_no_new_session(house):
    budi = house.colleagues[1]
    house.tell_group(1)
    budi.forget_sender_keys()
    house.line.queries()
    house.tell_group(2)
    [again] = [node for node in house.line.sent if "participant" in node.attrs]
    assert again.require_child("enc").attr_str("count") == "1"
    assert texts(budi) == ["Tiket 1", "Tiket 2"]
    house.tell_group(3)
    assert addressed(house) == [str(budi.device.address(house.group.server))]


def test_who_installed_anew_gets_the_key_without_having_to_ask(house):
    budi = house.colleagues[1]
    house.tell_group(1)
    house.stage.now += 1
    budi.reinstall()
    house.hear()
    house.tell_group(2)
    assert addressed(house) == [str(budi.device.address(house.group.server))]
    assert not budi.messages()[-1].failures


def test_who_was_removed_gets_nothing_by_asking_again(house):
    dewi = house.colleagues[2]
    dewi.forget_sender_keys()
    house.tell_group(1)
    dewi.go_offline()
    notification = house.plan_for_group(2)
    house.deliver(notification)
    house.remove(dewi)
    house.hear()
    dewi.forget_sender_keys()
    before = len(house.line.sent)
    dewi.go_online()
    assert "foreign-device" in {report.outcome for report in house.hear()} or len(house.line.sent) == before
    assert texts(dewi) == ["Tiket 1"]


def test_a_bad_bundle_costs_its_device_the_key_and_not_the_group_its_message(house):
    siti, budi, _ = house.colleagues
    signed = budi.device.signed_prekey
    budi.device.signed_prekey = SignedPreKey(signed.id, signed.public, bytes(64))
    notification = house.tell_group(1)
    assert texts(siti) == ["Tiket 1"]
    sent = next(attempt for attempt in house.stored(notification).attempts if attempt.cause == "sent")
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
def test_what_whatsapp_won_t_tell_now_is_asked_for_later(house, xmlns, code, outcome):
    house.town.board.inject(
        house.town.board.faults.make({"kind": "iq-error", "code": code, "xmlns": xmlns, "n": 1})
    )
    house.stage.keys.groups.forget(str(house.group.jid))
    notification = house.plan_for_group(1)
    assert house.deliver(notification).outcome == outcome
    assert house.line.sent == []


def test_bundles_that_are_refused_now_cost_nobody_who_has_the_key(house):
    """A new member's bundle can't be had: the others read on, and he asks."""
    house.tell_group(1)
    agus = house.town.phone("6281200000009", "Agus")
    house.add(agus)
    house.hear()
    house.town.board.faults.make({"kind": "iq-error", "code": 500, "xmlns": "encrypt", "n": 1})
    house.tell_group(2)
    assert [texts(phone) for phone in house.colleagues] == [["Tiket 1", "Tiket 2"]] * 3
    assert texts(agus) == ["Tiket 2"]


def test_a_message_whose_ack_was_lost_is_the_same_message_again(house):
    from tocsin.connector_client.client import AckTimeout

    notification = house.plan_for_group(1)
    properly = house.line._taken
    house.line._taken = lambda tag, identity: (  # type: ignore[method-assign]
        (_ for _ in ()).throw(AckTimeout("none")) if tag == "ack" else properly(tag, identity)
    )
    assert house.deliver(notification).outcome == "retry"
    house.line._taken = properly  # type: ignore[method-assign]
    assert house.deliver(notification).outcome == "sent"
    first, second = house.line.sent
    assert first.attr_str("id") == second.attr_str("id")
    assert addressed(house, 0) == addressed(house, 1), "nobody is known to have the key"
    assert texts(house.colleagues[0]) == ["Tiket 1"]
    assert house.audit()["message_keys_reused"] == 0


def test_every_colleague_s_receipts_stand_in_the_history(house):
    notification = house.tell_group(1)
    stored = house.stored(notification)
    assert stored.state is State.DELIVERED
    assert len([entry for entry in stored.receipts if entry.endswith("delivered")]) == 3
    house.colleagues[1].read(notification.message_id)
    house.hear()
    assert house.stored(notification).state is State.READ


@in_both_modes
def test_receipts_gathered_by_the_server_are_told_apart(house):
    notification = house.plan_for_group(1)
    house.deliver(notification)
    house.line.got.clear()
    users = tuple(
        Node("user", {"jid": phone.account.bare(house.group.server), "t": "1"}) for phone in house.colleagues
    )
    gathered = Node("participants", {"key": notification.message_id}, users)
    attrs = {"id": notification.message_id, "from": house.group.jid, "t": "1"}
    report = house.receive(Node("receipt", attrs, (gathered,)))
    assert report.outcome == "delivered"
    assert len(house.stored(notification).receipts) == 3


# -- what members write ------------------------------------------------------------------------------------


def replies(house: GroupHouse) -> list[dict]:
    return [item for item in everything_in(house.aws.notifications_table) if item["pk"].startswith("reply#")]


def test_what_members_write_to_each_other_is_confirmed_and_left_alone(house):
    siti = house.colleagues[0]
    sent = siti.write(house.group, "who is near?")
    reports = house.hear()
    assert [report.cause for report in reports if report.kind == "message"] == ["group-talk"]
    assert f"{house.line.device}" in sent.receipts["delivered"]
    assert replies(house) == []
    siti.write(house.group, "nobody?")
    assert [report.outcome for report in house.hear() if report.kind == "message"] == ["other"]


@in_both_modes
def test_what_quotes_a_notification_is_a_reply_to_its_ticket(house):
    notification = house.tell_group(1)
    siti = house.colleagues[0]
    siti.write(house.group, "I go", quote=notification.message_id)
    house.hear()
    [reply] = replies(house)
    assert (reply["text"], reply["ticket_id"], reply["audience"]) == ("I go", "TCK-1", "group")
    assert (reply["recipient"], reply["group"]) == (siti.account.number, str(house.group.jid))


@pytest.mark.parametrize("quoting", [True, False])
def test_stop_in_a_group_stops_nothing(house, quoting):
    notification = house.tell_group(1)
    siti = house.colleagues[0]
    siti.write(house.group, "STOP", quote=notification.message_id if quoting else None)
    house.hear()
    assert len(replies(house)) == int(quoting)
    for phone in (f"{siti.account.number}@s.whatsapp.net", str(house.group.jid)):
        assert house.stores.recipients.conduct("default", phone).opted_out_at is None
    house.tell_group(2)
    assert texts(siti) == ["Tiket 1", "Tiket 2"]


@in_both_modes
def test_a_message_whose_key_we_lack_is_asked_for_with_keys_and_read(house):
    siti = house.colleagues[0]
    siti.write(house.group, "first")
    house.hear()
    pk = group_pk("default", house.stage.profile.incarnation, str(house.group.jid))
    for item in house.stage.table.query(pk, "sender#"):
        house.stage.table.delete(Delete((str(item["pk"]), str(item["sk"]))))
    notification = house.tell_group(1)
    sent = siti.write(house.group, "second", quote=notification.message_id)
    asked, read = [report for report in house.hear() if report.kind == "message"]
    assert (asked.outcome, asked.cause, asked.facts["with_keys"]) == ("asked-again", "NoSession", True)
    assert read.outcome == "reply"
    assert sent.resent.total() == 1
    siti.write(house.group, "third")
    assert [report.cause for report in house.hear() if report.kind == "message"] == ["group-talk"]


def test_what_our_own_phone_writes_is_confirmed_as_ours(house):
    house.phone.write(house.group, "from the phone")
    [report] = [report for report in house.hear() if report.kind == "message"]
    assert report.outcome == "own-device"
    assert len(house.line.device.mailbox) == 0


def test_a_key_for_another_group_is_not_taken(house):
    """Or anybody could fill our table with keys of groups that don't exist."""
    siti = house.colleagues[0]
    other = house.found([siti])
    house.hear()
    siti._group_keys.own(str(other.jid))
    wrong = siti._with_sender_key

    siti._with_sender_key = lambda group, message=b"": wrong(other, message)  # type: ignore[method-assign]
    siti.write(house.group, "hello")
    reports = [report for report in house.hear() if report.kind == "message"]
    assert reports[0].outcome == "asked-again"
    pk = group_pk("default", house.stage.profile.incarnation, str(other.jid))
    assert house.stage.table.query(pk, "sender#") == []


def test_a_malformed_group_stanza_is_no_end_of_the_world(house):
    attrs = {"from": house.group.jid, "id": "X", "t": "1", "type": "text"}
    enc = Node("enc", {"v": "2", "type": "skmsg"}, b"\x33nonsense")
    for participant in (None, JID("", "lid"), house.colleagues[0].device.lid):
        more = {} if participant is None else {"participant": participant}
        report = house.receive(Node("message", {**attrs, **more}, (enc,)))
        assert report.outcome in ("malformed", "asked-again")
