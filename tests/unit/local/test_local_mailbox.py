"""What waits for a device goes when the device confirms it, and not before."""

import pytest

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.mailbox import Mailbox

SENDER = JID("6281200000002", PN, 1)


def message(message_id="M", count=None, sender=SENDER):
    attrs = {"v": "2", "type": "msg"} | ({"count": count} if count else {})
    return Node("message", {"id": message_id, "from": sender}, (Node("enc", attrs, b"x"),))


def receipt(message_id="M", *, kind=None, count=None, to=SENDER):
    attrs = {"id": message_id, "to": to} | ({"type": kind} if kind else {})
    return Node("receipt", attrs, (Node("retry", {"count": count, "id": message_id}),) if count else None)


def ack(tag, message_id="M", *, kind=None, to=SENDER, error=None):
    attrs = {"class": tag, "id": message_id, "to": to}
    return Node("ack", attrs | ({"type": kind} if kind else {}) | ({"error": error} if error else {}))


@pytest.fixture
def mailbox():
    return Mailbox()


def ids(mailbox):
    return [(letter.id, letter.resend) for letter in mailbox.waiting()]


@pytest.mark.parametrize("kind", [None, "inactive", "sender", "peer_msg"])
def test_a_receipt_confirms_a_message(mailbox, kind):
    mailbox.put(message())
    assert mailbox.confirm(receipt(kind=kind)) == 1
    assert len(mailbox) == 0


@pytest.mark.parametrize("to", [SENDER.bare, SENDER])
def test_device_or_not_the_receipt_is_for_that_sender(mailbox, to):
    mailbox.put(message())
    assert mailbox.confirm(receipt(to=to)) == 1


def test_a_read_receipt_does_not_confirm_the_delivery(mailbox):
    mailbox.put(message())
    assert mailbox.confirm(receipt(kind="read")) == 0


def test_another_senders_message_with_the_same_id_stays(mailbox):
    mailbox.put(message(sender=JID("77", LID)))
    assert mailbox.confirm(receipt()) == 0


def test_one_receipt_confirms_a_list(mailbox):
    for message_id in ("A", "B", "C"):
        mailbox.put(message(message_id))
    items = (Node("item", {"id": "B"}), Node("item", {"id": "C"}))
    assert mailbox.confirm(Node("receipt", {"id": "A", "to": SENDER}, (Node("list", {}, items),))) == 3


def test_a_retry_receipt_takes_the_try_it_answers_and_leaves_the_resend(mailbox):
    mailbox.put(message())
    mailbox.put(message(count="1"))
    assert mailbox.confirm(receipt(kind="retry", count="1")) == 1
    assert ids(mailbox) == [("M", 1)]


def test_the_late_negative_ack_does_not_cancel_the_resend(mailbox):
    mailbox.put(message())
    mailbox.confirm(receipt(kind="retry", count="1"))
    mailbox.put(message(count="1"))
    assert mailbox.confirm(ack("message", error="500")) == 0
    assert ids(mailbox) == [("M", 1)]
    assert mailbox.confirm(receipt()) == 1


def test_an_ack_before_the_retry_receipt_does_no_harm_either(mailbox):
    mailbox.put(message())
    mailbox.confirm(ack("message"))
    mailbox.confirm(receipt(kind="retry", count="1"))
    mailbox.put(message(count="1"))
    assert ids(mailbox) == [("M", 1)]


def test_an_ack_alone_ends_a_message_that_nobody_asked_again_for(mailbox):
    mailbox.put(message())
    assert mailbox.confirm(ack("message", error="488")) == 1


def test_delivery_and_read_receipts_of_one_message_are_acked_one_by_one(mailbox):
    mailbox.put(Node("receipt", {"id": "M", "from": SENDER}))
    mailbox.put(Node("receipt", {"id": "M", "from": SENDER, "type": "read"}))
    assert mailbox.confirm(ack("receipt", kind="read")) == 1
    assert [letter.stanza.optional_str("type") for letter in mailbox.waiting()] == [None]


def test_an_answer_without_its_attributes_is_named(mailbox):
    mailbox.put(message())
    for answer in (Node("ack", {"id": "M"}), Node("receipt", {"id": "M", "to": SENDER, "type": "retry"})):
        with pytest.raises(InvalidStanza):
            mailbox.confirm(answer)
    assert len(mailbox) == 1
