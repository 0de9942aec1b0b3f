"""A number that somebody else has by now: nobody reads what was meant for the one who had it before."""

from __future__ import annotations

import pytest

from tests.support.fake_whatsapp import NOW, Device, Person, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tests.support.wired_steps import our_bundle
from tocsin.multidevice.identity import NUMBER_MOVED
from tocsin.multidevice.numbers import NUMBER_DOUBTED, SEND
from tocsin.notify.delivery import Verdict
from tocsin.notify.notification import Notification, State
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin.whatsapp.node import Node

DAY = 86_400
NUMBER = "6281234567890"
NEW_NUMBER = "6289999999999"


@pytest.fixture
def wired() -> WiredFunctions:
    """Siti has had one notification."""
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    return wired


def move_number(wired: WiredFunctions) -> Person:
    """Siti takes another number, and a stranger gets hers. Return the stranger."""
    number = wired.siti.phone
    wired.siti.phone = NEW_NUMBER
    stranger = Person(number, "5678", {0: Device(JID("5678", LID))})
    wired.network.people["5678"] = stranger
    return stranger


def plan(wired: WiredFunctions, number: int) -> Notification:
    """A notification to the number that the ticketing system knows."""
    present, wired.siti.phone = wired.siti.phone, NUMBER
    planned = wired.plan(number)
    wired.siti.phone = present
    return planned


def told_changes(wired: WiredFunctions) -> list[dict]:
    return wired.stores.identity_changes.of(ACCOUNT, "1234@lid")


# What makes us ask: each before the next send to the number.


def a_month(wired: WiredFunctions, stranger: Person) -> None:
    wired.paired.now += 31 * DAY


def a_receipt_of_hers_with_her_new_number(wired: WiredFunctions, stranger: Person) -> None:
    wired.paired.now += DAY
    wired.receive(
        Node(
            "receipt",
            {"id": "R", "from": wired.siti.user, "sender_pn": JID(NEW_NUMBER, PN), "t": str(NOW)},
        )
    )


def a_message_of_the_stranger(wired: WiredFunctions, stranger: Person) -> None:
    wired.paired.now += DAY
    stranger.devices[0].begin(our_bundle(wired))
    wired.receive(message_from(stranger.devices[0], stranger, "S1", "Halo"))


def a_device_list_with_her_new_number(wired: WiredFunctions, stranger: Person) -> None:
    wired.paired.now += 2 * DAY  # longer than a list of devices is believed
    wired.network.tell_numbers = True


DOUBTS = [
    a_month,
    a_receipt_of_hers_with_her_new_number,
    a_message_of_the_stranger,
    a_device_list_with_her_new_number,
]


@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_is_for_a_number_that_moved_is_held_and_told(wired: WiredFunctions, doubt) -> None:
    stranger = move_number(wired)
    doubt(wired, stranger)
    planned = plan(wired, 2)
    assert wired.deliver(planned) == Verdict("parked", NUMBER_MOVED)
    assert "Tiket 2" not in texts(stranger.devices[0]) + texts(wired.siti.devices[0])
    [change] = told_changes(wired)
    assert (change["kind"], change["moved_to"]) == (NUMBER_MOVED, "5678@lid")
    assert (change["recipient"], change["recipient_lid"]) == ("6281234567890", "1234@lid")


@pytest.mark.parametrize("doubt", DOUBTS)
def test_by_the_parameter_it_is_sent_to_who_has_the_number(wired: WiredFunctions, doubt) -> None:
    wired.paired.on_number_moved = SEND
    wired.restart()
    stranger = move_number(wired)
    doubt(wired, stranger)
    planned = plan(wired, 2)
    while wired.deliver(wired.stored(planned)).outcome == "rerouted":
        pass
    assert "Tiket 2" in texts(stranger.devices[0])
    assert "Tiket 2" not in texts(wired.siti.devices[0])
    assert [change["kind"] for change in told_changes(wired)] == [NUMBER_MOVED]


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_number_that_did_not_move_goes_on_as_before(wired: WiredFunctions, doubt) -> None:
    """The twin: the same doubts, and WhatsApp says that all is as it was."""
    stranger = Person("6280000009999", "5678", {0: Device(JID("5678", LID))})
    wired.network.people["5678"] = stranger
    if doubt is not a_receipt_of_hers_with_her_new_number:
        doubt(wired, stranger)
    assert wired.deliver(plan(wired, 2)) == Verdict("sent")
    assert "Tiket 2" in texts(wired.siti.devices[0])
    assert told_changes(wired) == []


def test_nothing_waits_longer_than_until_it_is_confirmed(wired: WiredFunctions) -> None:
    stranger = move_number(wired)
    a_month(wired, stranger)
    planned = plan(wired, 2)
    wired.deliver(planned)
    wired.paired.keys.contacts.learn(str(stranger.pn), str(stranger.user))
    wired.stores.parking.requeue(planned.id)
    assert wired.deliver(wired.stored(planned)) == Verdict("sent")
    assert texts(stranger.devices[0]) == ["Tiket 2"]


def test_what_was_held_is_sent_once_the_parameter_says_so(wired: WiredFunctions) -> None:
    stranger = move_number(wired)
    a_month(wired, stranger)
    planned = plan(wired, 2)
    wired.deliver(planned)
    wired.paired.on_number_moved = SEND
    wired.restart()
    wired.stores.parking.requeue(planned.id)
    assert wired.deliver(wired.stored(planned)) == Verdict("sent")
    assert texts(stranger.devices[0]) == ["Tiket 2"]
    assert "Tiket 2" not in texts(wired.siti.devices[0])
    assert len(told_changes(wired)) == 1


def test_consent_and_threads_stay_with_whom_they_belong_to(wired: WiredFunctions) -> None:
    wired.reply("STOP")
    stranger = move_number(wired)
    wired.paired.keys.contacts.note_moved(str(stranger.pn), str(stranger.user))
    wired.paired.keys.contacts.learn(str(stranger.pn), str(stranger.user))
    planned = plan(wired, 2)
    while wired.deliver(wired.stored(planned)).outcome == "rerouted":
        pass
    assert wired.stored(planned).state is State.SENT
    assert wired.stores.people.find(ACCOUNT, "5678@lid").opted_out_at is None
    assert wired.stores.people.find(ACCOUNT, "1234@lid").opted_out_at is not None
    [name] = wired.stores.people.find(ACCOUNT, "1234@lid").names.values()
    assert name.until is not None


def test_the_new_owner_gets_nothing_of_the_predecessors(wired: WiredFunctions) -> None:
    """A retry receipt for what was sent to who had the number before."""
    before = wired.tell(3)
    stranger = move_number(wired)
    a_month(wired, stranger)
    wired.paired.keys.contacts.learn(str(stranger.pn), str(stranger.user))
    device = stranger.devices[0]
    device.begin(our_bundle(wired))
    wired.network.retries.append(wired.network.retry_receipt(device, before.message_id, "NoSession"))
    [report] = wired.answer_retries()
    assert report.outcome != "resent"
    assert texts(device) == []


def test_a_receipt_of_the_new_owner_says_nothing_of_what_the_old_one_got(wired: WiredFunctions) -> None:
    before = wired.tell(3)
    stranger = move_number(wired)
    wired.paired.keys.contacts.learn(str(stranger.pn), str(stranger.user))
    assert wired.receive(receipt_of(stranger, before.message_id)).outcome == "ignored"


def test_a_number_that_nobody_has_any_more_is_told(wired: WiredFunctions) -> None:
    wired.siti.phone = NEW_NUMBER
    wired.paired.now += 31 * DAY
    assert wired.deliver(plan(wired, 2)) == Verdict("failed", "not-on-whatsapp")
    [change] = told_changes(wired)
    assert (change["kind"], change.get("moved_to")) == (NUMBER_MOVED, None)


def test_a_doubt_costs_one_question_and_no_retry(wired: WiredFunctions) -> None:
    wired.network.tell_numbers = True
    wired.siti.phone, old = NEW_NUMBER, wired.siti.phone
    wired.network.aliases[old] = NEW_NUMBER  # a national renumbering: both reach her
    wired.paired.now += 2 * DAY
    planned = plan(wired, 2)
    assert wired.deliver(planned) == Verdict("sent")
    causes = [attempt.cause for attempt in wired.stored(planned).attempts]
    assert causes in ([NUMBER_DOUBTED, "sent"], ["sent"])
    assert told_changes(wired) == []
