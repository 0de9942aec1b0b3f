"""What happens to a stanza: acknowledged, delivered, queued, or broken on purpose."""

import pytest

from tests.support.local_server import BUDI, DEWI, SITI, LocalServer, enc
from tocsin.whatsapp.jid import JID, PN, SERVER
from tocsin.whatsapp.node import Node


@pytest.fixture
def chat(local: LocalServer):
    """Siti's companion writes to Budi's phone, which has issued its privacy token long ago."""
    siti, budi = local.phone(SITI, "Siti"), local.phone(BUDI, "Budi")
    budi.account.trusts.add(SITI)
    return local.companion(siti.account), budi


def kinds(local, *wanted):
    return [event.kind for event in local.board.events.after(0) if event.kind in wanted]


def test_the_ack_comes_before_the_receipts(chat):
    companion, budi = chat
    companion.write(budi.account, "hello")
    assert [stanza.tag for stanza in companion.got] == ["ack", "receipt"]
    assert companion.got[0].attrs["from"] == budi.account.lid
    assert "error" not in companion.got[0].attrs


def test_a_message_to_nobody_is_refused_in_its_ack(chat):
    companion, _ = chat
    companion.submit(Node("message", {"id": "M", "to": JID("629", PN)}))
    assert companion.taken("ack")[0].attr_int("error") == 404


def test_everything_waits_for_a_device_that_is_away_and_comes_in_order(chat):
    companion, budi = chat
    companion.log_out()
    texts = [budi.write(companion.device.account, text).id for text in ("one", "two", "three")]
    assert len(companion.device.mailbox) == 3
    companion.log_in()
    assert [stanza.tag for stanza in companion.got] == ["success", "ib", *["message"] * 3, "ib"]
    messages = companion.taken("message")
    assert [stanza.attrs["id"] for stanza in messages] == texts
    assert [stanza.attrs["offline"] for stanza in messages] == ["0", "1", "2"]
    preview, done = companion.taken("ib")
    assert preview.require_child("offline_preview").attr_int("message") == 3
    assert done.require_child("offline").attr_int("count") == 3


def test_what_was_sent_and_not_confirmed_comes_again_at_the_next_login(chat):
    companion, budi = chat
    budi.write(companion.device.account, "once more")
    (first,) = companion.taken("message")
    companion.log_out()
    companion.log_in()
    (again,) = companion.taken("message")
    assert again.content == first.content
    companion.submit(Node("receipt", {"id": again.attr_str("id"), "to": again.attr_jid("from")}))
    companion.log_out()
    companion.log_in()
    assert companion.taken("message") == []


def test_receipts_wait_for_their_sender_too(chat):
    companion, budi = chat
    budi.go_offline()
    companion.write(budi.account, "read me later")
    companion.taken("receipt")
    companion.log_out()
    budi.go_online()
    companion.log_in()
    (receipt,) = companion.taken("receipt")
    assert (receipt.attrs["from"], receipt.attrs["offline"]) == (budi.device.lid, "0")


def test_a_second_login_replaces_the_first(chat):
    companion, _ = chat
    companion.log_in()
    assert companion.ended[0].child("conflict").attrs["type"] == "replaced"


def test_an_unknown_request_gets_an_empty_result_and_is_noted(local, chat):
    companion, _ = chat
    companion.submit(Node("iq", {"id": "7", "type": "get", "xmlns": "w:new", "to": SERVER}, (Node("query"),)))
    (answer,) = companion.taken("iq")
    assert (answer.attrs["type"], answer.attrs["id"], answer.attrs["from"]) == ("result", "7", SERVER)
    (event,) = local.board.events.after(0, "unknown-iq")
    assert (event.facts["xmlns"], event.facts["child"]) == ("w:new", "query")


@pytest.mark.parametrize(
    "stanza",
    [
        Node("message", {"id": "M"}),
        Node("message", {"to": SERVER}),
        Node("receipt", {"id": "M"}),
        Node("ack", {"class": "message"}),
        Node("iq", {"type": "get", "xmlns": "usync"}),
        Node("message", {"id": "M", "to": "no jid at all"}),
    ],
)
def test_a_broken_stanza_is_noted_and_changes_nothing(local, chat, stanza):
    companion, budi = chat
    companion.submit(stanza)
    assert kinds(local, "bad-stanza", "message") == ["bad-stanza"]
    companion.write(budi.account, "still works")
    assert budi.messages()[0].text == "still works"


def test_contacts_are_told_of_a_new_device_and_strangers_are_not(local, chat):
    companion, budi = chat
    stranger = local.companion(local.phone(DEWI).account)
    companion.write(budi.account, "now we know each other")
    companion.got.clear()
    added = local.companion(budi.account).device
    local.board.linked(added)
    (notification,) = companion.taken("notification")
    assert notification.attrs["type"] == "devices"
    assert notification.require_child("add").require_child("device").attrs["lid"] == added.lid
    assert stranger.taken("notification") == []


def test_an_unlinked_companion_is_thrown_out_and_can_not_be_addressed(local, chat):
    companion, _ = chat
    local.board.unlink(companion.device)
    assert companion.ended[-1].attrs["code"] == "401"
    assert companion.ended[-1].child("conflict").attrs["type"] == "device_removed"
    assert list(companion.device.account.devices) == [0]


def test_few_prekeys_left_are_reported_once_until_more_come(local, chat):
    companion, budi = chat
    companion.device.prekeys = dict(list(companion.device.prekeys.items())[:5])
    request = Node("user", {"jid": companion.device.lid})
    for number in range(3):
        iq = Node(
            "iq", {"id": str(number), "xmlns": "encrypt", "type": "get"}, (Node("key", {}, (request,)),)
        )
        local.board.submit(budi.device, iq)
    (notification,) = companion.taken("notification")
    assert notification.require_child("count").attr_int("value") == 4


# -- faults ----------------------------------------------------------------------------------------------


def test_an_injected_refusal_hits_the_next_message_only(local, chat):
    companion, budi = chat
    local.board.faults.make({"kind": "ack-error", "code": 463, "account": SITI})
    companion.write(budi.account, "refused", message_id="A")
    companion.write(budi.account, "accepted", message_id="B")
    assert [ack.optional_int("error") for ack in companion.taken("ack")] == [463, None]
    assert [entry.text for entry in budi.messages()] == ["accepted"]


def test_a_refusal_may_be_aimed_at_one_recipient(local, chat):
    companion, budi = chat
    dewi = local.phone(DEWI)
    local.board.faults.make({"kind": "ack-error", "code": 400, "to": "+" + DEWI})
    companion.write(budi.account, "through", message_id="A")
    companion.write(dewi.account, "refused", message_id="B")
    assert [ack.optional_int("error") for ack in companion.taken("ack")] == [None, 400]


def test_a_lost_ack_leaves_the_message_delivered(local, chat):
    companion, budi = chat
    local.board.faults.make({"kind": "lose-acks"})
    companion.write(budi.account, "hello")
    assert companion.taken("ack") == []
    assert budi.messages()[0].text == "hello"


def test_the_same_message_again_is_shown_once_and_counted_twice(local, chat):
    companion, budi = chat
    local.board.faults.make({"kind": "lose-acks"})
    stanza = companion.write(budi.account, "hello")
    companion.submit(stanza)
    (shown,) = budi.messages()
    assert len(shown.at) == 2
    assert local.board.audit.report()["message_keys_reused"] == 0


def test_a_lost_message_reaches_nobody(local, chat):
    companion, budi = chat
    local.board.faults.make({"kind": "lose-messages", "drop": True})
    companion.write(budi.account, "gone")
    assert companion.got == []
    assert companion.ended == [None]
    assert budi.messages() == []


def test_a_silent_server_answers_neither_pings_nor_messages_until_it_is_cleared(local, chat):
    companion, budi = chat
    local.board.faults.make({"kind": "deaf", "account": SITI})
    ping = Node("iq", {"id": "1", "type": "get", "xmlns": "w:p", "to": SERVER})
    companion.submit(ping)
    companion.write(budi.account, "anybody there?")
    budi.write(companion.device.account, "I am")
    assert companion.got == []
    assert len(companion.device.mailbox) == 1
    local.board.faults.clear()
    companion.submit(ping)
    assert [stanza.tag for stanza in companion.got] == ["iq"]


@pytest.mark.parametrize(
    ("description", "attrs", "child"),
    [
        ({"code": 503}, {"code": "503"}, None),
        ({"conflict": "replaced"}, {}, "conflict"),
        ({"code": 401, "conflict": "device_removed"}, {"code": "401"}, "conflict"),
        ({"text": "xml-not-well-formed"}, {}, "xml-not-well-formed"),
    ],
)
def test_a_stream_error_ends_the_connection_as_described(local, chat, description, attrs, child):
    companion, _ = chat
    fault = local.board.faults.make({"kind": "stream-error", "account": SITI, **description})
    assert local.board.inject(fault) == 1
    (last,) = companion.ended
    assert (last.tag, dict(last.attrs)) == ("stream:error", attrs)
    assert child is None or last.child(child) is not None
    assert not local.board.is_online(companion.device)


def test_a_drained_stock_of_prekeys_is_reported_and_bundles_go_without(local, chat):
    companion, budi = chat
    local.board.inject(local.board.faults.make({"kind": "drain-prekeys", "account": SITI, "device": 1}))
    assert companion.taken("notification")[0].require_child("count").attr_int("value") == 0
    budi.write(companion.device.account, "without a one-time key")
    (message,) = companion.taken("message")
    assert message.require_child("enc").attrs["type"] == "pkmsg"


def test_a_server_may_be_wrong_about_prekeys_or_want_more_of_them(local, chat):
    companion, _ = chat
    local.board.faults.make({"kind": "prekey-count", "count": 0})
    count = Node("iq", {"id": "1", "type": "get", "xmlns": "encrypt"}, (Node("count"),))
    companion.submit(count)
    companion.submit(count)
    told = [answer.require_child("count").attr_int("value") for answer in companion.taken("iq")]
    assert told[0] == 0
    assert told[1] > 0
    local.board.inject(local.board.faults.make({"kind": "ask-prekeys", "count": 12, "account": SITI}))
    assert companion.taken("notification")[0].require_child("count").attr_int("value") == 12


def test_a_queue_may_be_without_end_and_go_on(local, chat):
    companion, _ = chat
    local.board.faults.make({"kind": "endless-queue"})
    for _ in range(2):
        companion.log_out()
        companion.log_in()
        local.board.inject(local.board.faults.make({"kind": "trickle", "account": SITI}))
    done = [info for info in companion.taken("ib") if info.child("offline") is not None]
    late = [news for news in companion.taken("notification") if news.attrs.get("offline") == "0"]
    assert (len(done), len(late)) == (1, 3)  # what isn't confirmed comes again


def test_a_request_can_be_refused_or_left_unanswered(local, chat):
    companion, _ = chat
    local.board.faults.make({"kind": "iq-error", "code": 503, "xmlns": "usync"})
    local.board.faults.make({"kind": "iq-silence", "xmlns": "encrypt"})
    ping = Node("iq", {"id": "1", "type": "get", "xmlns": "w:p"})
    count = Node("iq", {"id": "2", "type": "get", "xmlns": "encrypt"}, (Node("count"),))
    usync = Node("iq", {"id": "3", "type": "get", "xmlns": "usync"}, (Node("usync"),))
    for request in (ping, count, usync, count):
        companion.submit(request)
    answers = companion.taken("iq")
    assert [(answer.attrs["id"], answer.attrs["type"]) for answer in answers] == [
        ("1", "result"),
        ("3", "error"),
        ("2", "result"),
    ]
    assert answers[1].require_child("error").attr_int("code") == 503


def test_a_resend_is_not_cancelled_by_the_late_ack_of_the_first_try(local, chat):
    """As a real client answers: retry receipt at once, `<ack error="500">` 250 ms later, and by then the
    resend may be queued under the same id."""
    companion, budi = chat
    account = companion.device.account
    sent = budi.write(account, "the text")
    (first,) = companion.taken("message")
    retry = Node("retry", {"count": "1", "id": sent.id, "t": first.attr_str("t"), "v": "1"})
    registration = Node("registration", {}, companion.device.registration_id.to_bytes(4, "big"))
    sender = first.attr_jid("from")
    companion.submit(Node("receipt", {"id": sent.id, "to": sender, "type": "retry"}, (retry, registration)))
    companion.log_out()
    local.board.submit(
        companion.device,
        Node("ack", {"class": "message", "id": sent.id, "to": sender, "error": "500"}),
    )
    companion.got.clear()
    companion.log_in()
    (resend,) = companion.taken("message")
    assert resend.require_child("enc").attrs["count"] == "1"
    assert resend.require_child("enc") != enc(companion.seal(budi.device, "x"))


def test_stanzas_can_be_doubled(local, chat):
    companion, budi = chat
    local.board.inject(local.board.faults.make({"kind": "duplicate", "n": 1}))
    budi.write(companion.device.account, "twice")
    budi.write(companion.device.account, "once")
    first, second, third = companion.taken("message")
    assert first == second
    assert third != first
    assert len(companion.device.mailbox) == 2


def test_messages_can_overtake_each_other(local, chat):
    companion, budi = chat
    local.board.inject(local.board.faults.make({"kind": "reorder", "size": 3, "n": 3}))
    ids = [budi.write(companion.device.account, text).id for text in ("one", "two", "three", "four")]
    assert [stanza.attrs["id"] for stanza in companion.taken("message")] == [*ids[2::-1], ids[3]]


def test_what_is_held_back_for_others_comes_at_the_next_login(local, chat):
    companion, budi = chat
    local.board.inject(local.board.faults.make({"kind": "reorder"}))
    budi.write(companion.device.account, "alone")
    assert companion.taken("message") == []
    companion.log_out()
    companion.log_in()
    assert len(companion.taken("message")) == 1


def test_a_heap_of_stanzas_waits_for_a_device_that_was_away(local, chat):
    companion, _ = chat
    companion.log_out()
    local.board.inject(local.board.faults.make({"kind": "pile-up", "n": 30, "senders": 3}))
    assert len(companion.device.mailbox) == 30
    companion.log_in()
    notifications = companion.taken("notification")
    assert len({stanza.attr_str("id") for stanza in notifications}) == 30
    assert len({stanza.attr_jid("from") for stanza in notifications}) == 3
