"""A phone behaves as a real one does: it heals, it answers when asked again, it shows a message once."""

import pytest

from tests.support.local_server import BUDI, SITI, LocalServer
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.inbox import InvalidRequest


@pytest.fixture
def friends(local: LocalServer):
    siti, budi = local.phone(SITI, "Siti"), local.phone(BUDI, "Budi")
    siti.write(budi.account, "first")
    budi.write(siti.account, "second")
    return siti, budi


def texts(phone):
    return [entry.text for entry in phone.messages()]


def test_phones_talk_and_are_told_so(friends):
    siti, budi = friends
    assert (texts(siti), texts(budi)) == (["second"], ["first"])
    assert siti.sent()[0].receipts == {"delivered": [f"{BUDI}:0"]}
    assert siti.sent()[0].acked


@pytest.mark.parametrize("fault", ["corrupt_sessions", "forget_sessions", "reinstall"])
def test_a_broken_receiver_asks_again_and_reads_the_message_once(friends, fault):
    siti, budi = friends
    getattr(budi, fault)()
    siti.write(budi.account, "can you read this?")
    entry = budi.messages()[-1]
    assert entry.text == "can you read this?"
    assert len(entry.at) == 1
    assert budi.waiting() == []
    siti.write(budi.account, "and this?")
    assert budi.messages()[-1].failures == []


@pytest.mark.parametrize("fault", ["corrupt_sessions", "forget_sessions", "reinstall"])
def test_a_broken_sender_is_understood_in_the_end(friends, fault):
    siti, budi = friends
    getattr(siti, fault)()
    siti.write(budi.account, "do you understand?")
    assert texts(budi)[-1] == "do you understand?"


def test_a_corrupt_session_is_a_bad_mac_until_a_new_one_is_made(local, friends):
    siti, budi = friends
    assert budi.corrupt_sessions(siti.account) == 1
    siti.write(budi.account, "broken")
    assert budi.messages()[-1].failures == ["BadMac"]
    event = local.board.events.after(0, "phone-retry")[-1]
    assert (event.facts["error"], event.facts["count"]) == ("BadMac", 1)


def test_no_heal_ever_uses_a_message_key_twice(local, friends):
    siti, budi = friends
    for fault in ("corrupt_sessions", "forget_sessions", "reinstall"):
        for phone in (siti, budi):
            getattr(phone, fault)()
            siti.write(budi.account, f"{fault} to")
            budi.write(siti.account, f"{fault} back")
    report = local.board.audit.report()
    assert report["message_keys_reused"] == 0
    assert report["prekeys_handed_out_twice"] == 0


def test_a_phone_that_is_away_gets_everything_on_its_return(friends):
    siti, budi = friends
    budi.go_offline()
    for number in range(10):
        siti.write(budi.account, f"text {number}")
    assert texts(budi) == ["first"]
    budi.go_online()
    assert texts(budi)[1:] == [f"text {number}" for number in range(10)]
    assert len(budi.device.mailbox) == 0


def test_a_phone_that_is_away_can_not_write(friends):
    siti, budi = friends
    siti.go_offline()
    with pytest.raises(InvalidRequest, match="offline"):
        siti.write(budi.account, "hello")


def test_an_owner_who_reads_sends_read_receipts(local):
    siti, budi = local.phone(SITI), local.phone(BUDI, reads=True)
    sent = siti.write(budi.account, "seen?")
    assert sent.receipts == {"delivered": [f"{BUDI}:0"], "read": [f"{BUDI}:0"]}


def test_an_owner_may_read_later(friends):
    siti, budi = friends
    budi.read(siti.sent()[0].id)
    assert siti.sent()[0].receipts["read"] == [f"{BUDI}:0"]
    with pytest.raises(InvalidRequest):
        budi.read("no such message")


def test_a_quote_names_the_message_it_answers(friends):
    siti, budi = friends
    budi.write(siti.account, "about that", quote=siti.sent()[0].id)
    assert siti.messages()[-1].quoted_id == siti.sent()[0].id
    with pytest.raises(InvalidRequest, match="quote"):
        budi.write(siti.account, "about what?", quote="never seen")


def test_what_a_companion_writes_stands_on_its_own_phone_but_not_among_what_came_in(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    budi.write(siti.account, "to phone and companion")
    assert texts(siti)[-1] == "to phone and companion"
    assert len(companion.taken("message")) == 1


def test_own_companions_get_a_copy_of_what_the_phone_writes(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    siti.write(budi.account, "copied")
    (copy,) = companion.taken("message")
    assert copy.attrs["from"] == siti.device.lid
    assert copy.attrs["recipient"] == budi.account.lid


def test_the_phone_asks_five_times_and_then_waits_in_silence(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    garbage = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + bytes(80))
    for count in range(8):
        attrs = {"count": str(count)} if count else {}
        entry = Node(
            "to", {"jid": budi.device.lid}, (Node("enc", {**garbage.attrs, **attrs}, garbage.content),)
        )
        stanza = {"id": "3EB0BAD", "to": budi.account.lid, "type": "text"}
        companion.submit(Node("message", stanza, (Node("participants", {}, (entry,)),)))
    retries = [stanza for stanza in companion.taken("receipt") if stanza.optional_str("type") == "retry"]
    assert [retry.require_child("retry").attr_int("count") for retry in retries] == [1, 2, 3, 4, 5]
    assert [entry.id for entry in budi.waiting()] == ["3EB0BAD"]


def test_fresh_keys_come_with_the_second_request(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    companion.write(budi.account, "settles a session", message_id="A")
    budi.corrupt_sessions()
    for _ in range(2):
        companion.write(budi.account, "unreadable", message_id="B")
    retries = [stanza for stanza in companion.taken("receipt") if stanza.optional_str("type") == "retry"]
    assert [retry.child("keys") is not None for retry in retries] == [False, True]
    assert [retry.require_child("retry").attrs["error"] for retry in retries] == ["7", "7"]


def test_a_phone_may_spoil_the_keys_in_its_retry_receipts(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    budi.spoil_retry_keys()
    budi.forget_sessions()
    garbage = Node("enc", {"v": "2", "type": "msg", "count": "1"}, b"\x33" + bytes(80))
    entry = Node("to", {"jid": budi.device.lid}, (garbage,))
    stanza = {"id": "3EB0BAD", "to": budi.account.lid, "type": "text"}
    companion.submit(Node("message", stanza, (Node("participants", {}, (entry,)),)))
    (retry,) = [one for one in companion.taken("receipt") if one.optional_str("type") == "retry"]
    assert retry.require_child("keys").require_child("skey").require_child("signature").content == bytes(64)


def test_without_a_session_fresh_keys_come_at_once(local, friends):
    siti, budi = friends
    companion = local.companion(siti.account)
    companion.write(budi.account, "settles a session", message_id="A")
    budi.forget_sessions()
    companion.write(budi.account, "unreadable", message_id="B")
    (retry,) = [stanza for stanza in companion.taken("receipt") if stanza.optional_str("type") == "retry"]
    assert retry.child("keys") is not None


def test_a_reinstalled_phone_has_a_new_identity_and_no_companions(local, friends):
    siti, budi = friends
    companion = local.companion(budi.account)
    watcher = local.companion(siti.account)
    before = budi.device.identity
    budi.reinstall()
    assert budi.device.identity != before
    assert list(budi.account.devices) == [0]
    assert companion.ended[-1].child("conflict").attrs["type"] == "device_removed"
    types = [stanza.attrs["type"] for stanza in watcher.taken("notification")]
    assert types == ["devices", "encrypt"]
