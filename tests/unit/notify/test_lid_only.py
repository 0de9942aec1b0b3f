"""Somebody whom WhatsApp names by a LID alone: answered there, never called a number, and heeded as one once
the number is learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_aws import aws_account
from tests.support.fake_whatsapp import NOW, Device, Person, wrapped
from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.sealed_texts import TEXTS
from tests.support.streams import image_of
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import orders, our_bundle, replies, requests_of
from tocsin.multidevice.directory import device_lists
from tocsin.multidevice.numbers import SEND
from tocsin.notify.notification import Notification, State
from tocsin.notify.outcomes import outcomes_of
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message

NUMBER, NAME = JID("6281234567890", PN), JID("1234", LID)


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    """Siti writes to us before we ever heard of her number."""
    wired = WiredFunctions(account.furnish())
    wired.siti.devices[0].begin(our_bundle(wired))
    return wired


def write(wired: WiredFunctions, text: str, identity: str = "S1", **attrs: Any) -> None:
    """Siti's message, with her LID alone unless `attrs` say more."""
    device = wired.siti.devices[0]
    node = wrapped(device, wired.siti, identity, device.encrypt(text_message(text)))
    kept = {name: value for name, value in node.attrs.items() if name != "sender_pn"}
    assert wired.receive(Node("message", {**kept, **attrs}, node.content)).outcome == "reply"


def answers(wired: WiredFunctions) -> list[Notification]:
    """What we have to say to what was written, delivered."""
    said = [wired.stores.notifications.get(order["notification"]) for order in orders(wired)]
    for notification in said:
        assert notification is not None
        assert wired.deliver(notification).outcome == "sent"
    return [wired.stored(notification) for notification in said if notification is not None]


def event(wired: WiredFunctions, pk: str) -> dict[str, Any]:
    """The event that an item of the notifications table brings."""
    [item] = [item for item in everything_in(wired.aws.notifications_table) if item["pk"].startswith(pk)]
    stream = {"SequenceNumber": "1", "NewImage": image_of(item)}
    [outcome] = outcomes_of({"eventName": "MODIFY", "dynamodb": stream}, TEXTS)
    return dict(outcome.detail)


# -- answered at the LID -----------------------------------------------------------------------------------


def test_an_opt_out_is_confirmed_at_the_lid(wired: WiredFunctions) -> None:
    write(wired, "STOP")
    [confirmation] = answers(wired)
    assert (confirmation.recipient, confirmation.recipient_lid) == ("1234@lid", "1234@lid")
    sent = wired.network.messages[-1]
    assert str(sent.attr_jid("to")) == "1234@lid"
    assert "peer_recipient_pn" not in sent.attrs
    assert texts(wired.siti.devices[0]) == [confirmation.text]
    assert wired.network.queries.count("contact 1234") == 0


def test_it_is_no_number_in_any_event(wired: WiredFunctions) -> None:
    write(wired, "STOP")
    answers(wired)
    for told in (event(wired, "reply#"), event(wired, "notification#")):
        assert (told["recipient"], told["recipient_lid"]) == (None, "1234@lid")


def test_twin_with_a_number_has_both_names(wired: WiredFunctions) -> None:
    write(wired, "STOP", sender_pn=wired.siti.pn)
    answers(wired)
    for told in (event(wired, "reply#"), event(wired, "notification#")):
        assert (told["recipient"], told["recipient_lid"]) == (wired.siti.phone, "1234@lid")


def test_a_failure_names_the_lid_too(wired: WiredFunctions) -> None:
    write(wired, "halo", sender_pn=wired.siti.pn)
    wired.network.refuse_with = [406]
    assert wired.deliver(wired.plan(2)).outcome == "failed"
    told = event(wired, "notification#")
    assert (told["recipient"], told["recipient_lid"]) == (wired.siti.phone, "1234@lid")


def test_a_new_identity_behind_a_lid_is_no_number_s(wired: WiredFunctions) -> None:
    write(wired, "halo")
    wired.siti.devices[0].reinstall()
    wired.siti.devices[0].begin(our_bundle(wired))
    write(wired, "HP baru", "S2")
    told = event(wired, "identity#")
    assert (told["recipient"], told["recipient_lid"]) == (None, "1234@lid")


def test_a_device_that_cannot_read_the_confirmation_is_healed(wired: WiredFunctions) -> None:
    write(wired, "STOP")
    wired.siti.devices[0].corrupt()
    [confirmation] = answers(wired)
    assert [report.outcome for report in wired.answer_retries()] == ["resent"]
    assert texts(wired.siti.devices[0]) == [confirmation.text]


def test_its_receipt_counts(wired: WiredFunctions) -> None:
    write(wired, "STOP")
    [confirmation] = answers(wired)
    attrs = {"id": confirmation.message_id, "from": wired.siti.devices[0].jid, "t": str(NOW)}
    assert wired.receive(Node("receipt", attrs)).outcome == "delivered"
    assert wired.stored(confirmation).state is State.DELIVERED


def test_an_answer_to_the_confirmation_is_thanked_for_at_the_lid(wired: WiredFunctions) -> None:
    wired.restart(thanks="👍")
    write(wired, "STOP")
    [confirmation] = answers(wired)
    attrs = {"id": confirmation.message_id, "from": wired.siti.devices[0].jid, "t": str(NOW)}
    wired.receive(Node("receipt", attrs))
    write(wired, "START", "S2")
    answers(wired)
    write(wired, "terima kasih", "S3")
    [thanks] = answers(wired)
    assert (thanks.recipient, thanks.content.message_id) == ("1234@lid", "S3")


@pytest.mark.parametrize("code", [400, 404])
def test_whatsapp_is_never_asked_for_a_lid_s_digits_as_a_number(wired: WiredFunctions, code: int) -> None:
    write(wired, "STOP")
    wired.network.refuse_with = [code]
    answers(wired)
    assert not any(query.startswith("contact") for query in wired.network.queries)


# -- the number is learnt later ----------------------------------------------------------------------------


def by_a_message(wired: WiredFunctions) -> None:
    write(wired, "halo", "S9", sender_pn=wired.siti.pn)


def by_a_receipt(wired: WiredFunctions) -> None:
    wired.receive(Node("receipt", {"id": "R", "from": NAME, "sender_pn": NUMBER, "t": str(NOW)}))


def by_device_news(wired: WiredFunctions) -> None:
    device = Node("device", {"jid": NUMBER.with_device(1), "lid": NAME.with_device(1)})
    attrs = {"id": "n", "type": "devices", "t": str(NOW), "from": NUMBER}
    wired.receive(Node("notification", attrs, (Node("add", {}, (device,)),)))


def by_a_device_query(wired: WiredFunctions) -> None:
    wired.network.tell_numbers = True
    device_lists(wired.paired.transport.account("default"), [str(NAME)])


def by_the_send_itself(wired: WiredFunctions) -> None:
    """Nobody told: the number check of the first notification does."""


SOURCES = [by_a_message, by_a_receipt, by_device_news, by_a_device_query, by_the_send_itself]


@pytest.mark.parametrize("learn", SOURCES)
def test_an_opt_out_counts_for_the_number_once_it_is_learnt(
    wired: WiredFunctions, learn: Callable[[WiredFunctions], None]
) -> None:
    write(wired, "STOP")
    answers(wired)
    learn(wired)
    wired.network.messages.clear()
    planned = wired.plan(2)
    assert wired.deliver(planned).outcome == "suppressed"
    assert wired.network.messages == []
    assert wired.stored(planned).recipient_lid == "1234@lid"


@pytest.mark.parametrize("learn", SOURCES)
def test_twin_who_withdrew_nothing_is_written_to(
    wired: WiredFunctions, learn: Callable[[WiredFunctions], None]
) -> None:
    write(wired, "halo")
    learn(wired)
    assert wired.deliver(wired.plan(2)).outcome == "sent"


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before a send", "after a suppressed send"])
def test_start_takes_it_back_for_both(wired: WiredFunctions, meanwhile: bool) -> None:
    write(wired, "STOP")
    answers(wired)
    by_a_receipt(wired)
    if meanwhile:
        assert wired.deliver(wired.plan(2)).outcome == "suppressed"
    write(wired, "START", "S2")
    [confirmation] = answers(wired)
    assert confirmation.recipient == wired.siti.phone
    assert wired.deliver(wired.plan(3)).outcome == "sent"
    for name in (NUMBER, NAME):
        assert wired.stores.people.find("default", str(name)).opted_out_at is None


def test_stop_is_confirmed_once_under_whichever_name(wired: WiredFunctions) -> None:
    write(wired, "STOP")
    assert len(answers(wired)) == 1
    write(wired, "STOP", "S2", sender_pn=wired.siti.pn)
    assert answers(wired) == []
    assert wired.deliver(wired.plan(2)).outcome == "suppressed"


def test_a_number_that_is_learnt_while_stop_is_written_down_is_opted_out(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send looks at the LID's conduct just before the opt-out is there, and never again."""
    opt_out = wired.stores.people.opt_out

    def after_a_send(*arguments: Any, **named: Any) -> bool:
        monkeypatch.setattr(wired.stores.people, "opt_out", opt_out)
        wired.tell(2)
        return opt_out(*arguments, **named)

    monkeypatch.setattr(wired.stores.people, "opt_out", after_a_send)
    write(wired, "STOP")
    assert wired.deliver(wired.plan(3)).outcome == "suppressed"


def test_a_lid_that_the_number_moves_to_is_looked_at_too(wired: WiredFunctions) -> None:
    wired.paired.on_number_moved = SEND
    wired.restart()
    wired.tell(1)
    wired.network.people.pop("1234")
    mover = Person(wired.siti.phone, "5678", {0: Device(JID("5678", LID))})
    wired.stores.people.opt_out("default", str(mover.user), "stop", NOW * 1000)
    wired.network.people["5678"] = mover
    wired.receive(Node("receipt", {"id": "R", "from": mover.user, "sender_pn": NUMBER, "t": str(NOW)}))
    assert wired.deliver(wired.plan(2)).outcome == "suppressed"


def test_it_is_looked_for_once() -> None:
    """Counted on the wire."""
    with aws_account() as account:
        wired = WiredFunctions(account.furnish())
        wired.tell(1)
        found = requests_of(wired, lambda: wired.tell(2))
    assert found == {"BatchGetItem": 2, "PutItem": 1, "UpdateItem": 3}


def test_replies_without_a_known_number_are_kept_under_the_lid(wired: WiredFunctions) -> None:
    write(wired, "halo")
    [reply] = replies(wired)
    assert (reply["user"], reply["recipient_lid"]) == ("1234@lid", "1234@lid")
    assert "recipient" not in reply
