"""Somebody whom WhatsApp names by a LID alone: answered there, never called a number, and heeded as one once
the number is learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_aws import aws_account
from tests.support.fake_whatsapp import NOW, Device, Person, wrapped
from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.wired_functions import House, texts
from tests.support.wired_steps import orders, our_bundle, replies, requests_of
from tocsin.dynamo.attributes import to_attribute
from tocsin.multidevice.directory import device_lists
from tocsin.notify.notification import Notification, State
from tocsin.notify.outcomes import outcome_of
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message

NUMBER, NAME = JID("6281234567890", PN), JID("1234", LID)


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def house(account: MemoryAccount) -> House:
    """Siti writes to us before we ever heard of her number."""
    house = House(account.furnish())
    house.siti.devices[0].begin(our_bundle(house))
    return house


def write(house: House, text: str, identity: str = "S1", **attrs: Any) -> None:
    """Siti's message, with her LID alone unless `attrs` say more."""
    device = house.siti.devices[0]
    node = wrapped(device, house.siti, identity, device.encrypt(text_message(text)))
    kept = {name: value for name, value in node.attrs.items() if name != "sender_pn"}
    assert house.receive(Node("message", {**kept, **attrs}, node.content)).outcome == "reply"


def answers(house: House) -> list[Notification]:
    """What we have to say to what was written, delivered."""
    said = [house.stores.notifications.get(order["notification"]) for order in orders(house)]
    for notification in said:
        assert notification is not None
        assert house.deliver(notification).outcome == "sent"
    return [house.stored(notification) for notification in said if notification is not None]


def event(house: House, pk: str) -> dict[str, Any]:
    """The event that an item of the notifications table brings."""
    [item] = [item for item in everything_in(house.aws.notifications_table) if item["pk"].startswith(pk)]
    image = {name: to_attribute(value) for name, value in item.items()}
    stream = {"SequenceNumber": "1", "NewImage": image}
    outcome = outcome_of({"eventName": "MODIFY", "dynamodb": stream})
    assert outcome is not None
    return dict(outcome.detail)


# -- answered at the LID -----------------------------------------------------------------------------------


def test_an_opt_out_is_confirmed_at_the_lid(house: House) -> None:
    write(house, "STOP")
    [confirmation] = answers(house)
    assert (confirmation.recipient, confirmation.recipient_lid) == ("1234@lid", "1234@lid")
    sent = house.network.messages[-1]
    assert str(sent.attr_jid("to")) == "1234@lid"
    assert "peer_recipient_pn" not in sent.attrs
    assert texts(house.siti.devices[0]) == [confirmation.text]
    assert house.network.queries.count("contact 1234") == 0


def test_it_is_no_number_in_any_event(house: House) -> None:
    write(house, "STOP")
    answers(house)
    for told in (event(house, "reply#"), event(house, "notification#")):
        assert (told["recipient"], told["recipient_lid"]) == (None, "1234@lid")


def test_twin_with_a_number_has_both_names(house: House) -> None:
    write(house, "STOP", sender_pn=house.siti.pn)
    answers(house)
    for told in (event(house, "reply#"), event(house, "notification#")):
        assert (told["recipient"], told["recipient_lid"]) == (house.siti.phone, "1234@lid")


def test_a_failure_names_the_lid_too(house: House) -> None:
    write(house, "halo", sender_pn=house.siti.pn)
    house.network.refuse_with = [406]
    assert house.deliver(house.plan(2)).outcome == "failed"
    told = event(house, "notification#")
    assert (told["recipient"], told["recipient_lid"]) == (house.siti.phone, "1234@lid")


def test_a_new_identity_behind_a_lid_is_no_number_s(house: House) -> None:
    write(house, "halo")
    house.siti.devices[0].reinstall()
    house.siti.devices[0].begin(our_bundle(house))
    write(house, "HP baru", "S2")
    told = event(house, "identity#")
    assert (told["recipient"], told["recipient_lid"]) == (None, "1234@lid")


def test_a_device_that_cannot_read_the_confirmation_is_healed(house: House) -> None:
    write(house, "STOP")
    house.siti.devices[0].corrupt()
    [confirmation] = answers(house)
    assert [report.outcome for report in house.answer_retries()] == ["resent"]
    assert texts(house.siti.devices[0]) == [confirmation.text]


def test_its_receipt_counts(house: House) -> None:
    write(house, "STOP")
    [confirmation] = answers(house)
    attrs = {"id": confirmation.message_id, "from": house.siti.devices[0].jid, "t": str(NOW)}
    assert house.receive(Node("receipt", attrs)).outcome == "delivered"
    assert house.stored(confirmation).state is State.DELIVERED


def test_an_answer_to_the_confirmation_is_thanked_for_at_the_lid(house: House) -> None:
    house.restart(thanks="👍")
    write(house, "STOP")
    [confirmation] = answers(house)
    attrs = {"id": confirmation.message_id, "from": house.siti.devices[0].jid, "t": str(NOW)}
    house.receive(Node("receipt", attrs))
    write(house, "START", "S2")
    answers(house)
    write(house, "terima kasih", "S3")
    [thanks] = answers(house)
    assert (thanks.recipient, thanks.content.message_id) == ("1234@lid", "S3")


@pytest.mark.parametrize("code", [400, 404])
def test_whatsapp_is_never_asked_for_a_lid_s_digits_as_a_number(house: House, code: int) -> None:
    write(house, "STOP")
    house.network.refuse_with = [code]
    answers(house)
    assert not any(query.startswith("contact") for query in house.network.queries)


# -- the number is learnt later ----------------------------------------------------------------------------


def by_a_message(house: House) -> None:
    write(house, "halo", "S9", sender_pn=house.siti.pn)


def by_a_receipt(house: House) -> None:
    house.receive(Node("receipt", {"id": "R", "from": NAME, "sender_pn": NUMBER, "t": str(NOW)}))


def by_device_news(house: House) -> None:
    device = Node("device", {"jid": NUMBER.with_device(1), "lid": NAME.with_device(1)})
    attrs = {"id": "n", "type": "devices", "t": str(NOW), "from": NUMBER}
    house.receive(Node("notification", attrs, (Node("add", {}, (device,)),)))


def by_a_device_query(house: House) -> None:
    house.network.tell_numbers = True
    device_lists(house.stage.transport.account("default"), [str(NAME)])


def by_the_send_itself(house: House) -> None:
    """Nobody told: the number check of the first notification does."""


SOURCES = [by_a_message, by_a_receipt, by_device_news, by_a_device_query, by_the_send_itself]


@pytest.mark.parametrize("learn", SOURCES)
def test_an_opt_out_counts_for_the_number_once_it_is_learnt(
    house: House, learn: Callable[[House], None]
) -> None:
    write(house, "STOP")
    answers(house)
    learn(house)
    house.network.messages.clear()
    planned = house.plan(2)
    assert house.deliver(planned).outcome == "suppressed"
    assert house.network.messages == []
    assert house.stored(planned).recipient_lid == "1234@lid"


@pytest.mark.parametrize("learn", SOURCES)
def test_twin_who_withdrew_nothing_is_written_to(house: House, learn: Callable[[House], None]) -> None:
    write(house, "halo")
    learn(house)
    assert house.deliver(house.plan(2)).outcome == "sent"


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before a send", "after a suppressed send"])
def test_start_takes_it_back_for_both(house: House, meanwhile: bool) -> None:
    write(house, "STOP")
    answers(house)
    by_a_receipt(house)
    if meanwhile:
        assert house.deliver(house.plan(2)).outcome == "suppressed"
    write(house, "START", "S2")
    [confirmation] = answers(house)
    assert confirmation.recipient == house.siti.phone
    assert house.deliver(house.plan(3)).outcome == "sent"
    for name in (NUMBER, NAME):
        assert house.stores.recipients.conduct("default", str(name)).opted_out_at is None


def test_stop_is_confirmed_once_under_whichever_name(house: House) -> None:
    write(house, "STOP")
    assert len(answers(house)) == 1
    write(house, "STOP", "S2", sender_pn=house.siti.pn)
    assert answers(house) == []
    assert house.deliver(house.plan(2)).outcome == "suppressed"


def test_a_number_that_is_learnt_while_stop_is_written_down_is_opted_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send looks at the LID's conduct just before the opt-out is there, and never again."""
    opt_out = house.stores.recipients.opt_out

    def after_a_send(*arguments: Any) -> bool:
        monkeypatch.setattr(house.stores.recipients, "opt_out", opt_out)
        house.tell(2)
        return opt_out(*arguments)

    monkeypatch.setattr(house.stores.recipients, "opt_out", after_a_send)
    write(house, "STOP")
    assert house.deliver(house.plan(3)).outcome == "suppressed"


def test_a_lid_that_the_number_moves_to_is_looked_at_too(house: House) -> None:
    house.tell(1)
    mover = Person(house.siti.phone, "5678", {0: Device(JID("5678", LID))})
    house.stores.recipients.opt_out("default", str(mover.user), "stop", NOW * 1000)
    house.network.people["5678"] = mover
    house.receive(Node("receipt", {"id": "R", "from": mover.user, "sender_pn": NUMBER, "t": str(NOW)}))
    assert house.deliver(house.plan(2)).outcome == "suppressed"


def test_it_is_looked_for_once() -> None:
    """Counted on the wire."""
    with aws_account() as account:
        house = House(account.furnish())
        house.tell(1)
        found = requests_of(house, lambda: house.tell(2))
    assert found == {"BatchGetItem": 1, "PutItem": 1, "UpdateItem": 3}


def test_replies_without_a_known_number_are_kept_under_the_lid(house: House) -> None:
    write(house, "halo")
    [reply] = replies(house)
    assert (reply["user"], reply["recipient_lid"]) == ("1234@lid", "1234@lid")
    assert "recipient" not in reply
