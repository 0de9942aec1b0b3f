"""A number that somebody else has by now: nobody reads what was meant for the one who had it before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fake_whatsapp import NOW, Device, Person, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, receipt_of, texts
from tests.support.wired_steps import changed, orders, our_bundle
from tocsin.multidevice.identity import NUMBER_MOVED
from tocsin.multidevice.numbers import NUMBER_DOUBTED, QUESTIONS_PER_HOUR, SEND
from tocsin.notify.content import Edit
from tocsin.notify.notification import Notification, State
from tocsin.notify.verdict import Verdict
from tocsin.people.person import Name, Source
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


def test_a_number_that_nobody_has_any_more_is_asked_for_once_a_day(wired: WiredFunctions) -> None:
    wired.siti.phone = NEW_NUMBER
    wired.paired.now += 31 * DAY
    wired.deliver(plan(wired, 2))
    asked = len(wired.network.queries)
    assert wired.deliver(plan(wired, 3)) == Verdict("failed", "not-on-whatsapp")
    assert len(wired.network.queries) == asked
    wired.paired.now += DAY
    wired.siti.phone = NUMBER
    assert wired.deliver(plan(wired, 4)) == Verdict("sent")


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


# -- who wrote, once their number is somebody else's ---------------------------------------------------------


def confirm(wired: WiredFunctions, stranger: Person) -> None:
    """An operator says that the stranger may be written to at the number."""
    number, lid = str(stranger.pn), str(stranger.user)
    wired.paired.keys.contacts.learn(number, lid)
    name = Name(number, Source.OPERATOR, int(wired.paired.now * 1000))
    wired.stores.people.join(ACCOUNT, number, lid, [name])


def write(wired: WiredFunctions, person: Person, text: str, **attrs: JID | None) -> str:
    """Somebody's message, named as `attrs` say; what becomes of it."""
    return wired.receive(changed(message_from(person.devices[0], person, text, text), **attrs)).outcome


def answer(wired: WiredFunctions) -> Notification:
    """What we have to say to what was written last."""
    said = wired.stores.notifications.get(orders(wired)[-1]["notification"])
    assert said is not None
    return said


def siti_s_stop(wired: WiredFunctions) -> Notification:
    """Siti writes STOP; its confirmation."""
    wired.siti.devices[0].begin(our_bundle(wired))
    assert write(wired, wired.siti, "STOP", sender_pn=None) == "reply"
    return answer(wired)


def test_whoever_had_the_number_is_answered_at_the_lid(wired: WiredFunctions) -> None:
    stranger = move_number(wired)
    confirm(wired, stranger)
    confirmation = siti_s_stop(wired)
    assert wired.deliver(confirmation) == Verdict("sent")
    assert texts(stranger.devices[0]) == []
    assert texts(wired.siti.devices[0])[-1] == confirmation.text
    assert wired.stores.people.find(ACCOUNT, str(stranger.pn)).id == "5678@lid"


def test_what_is_for_a_lid_goes_there_whatever_number_it_has(wired: WiredFunctions) -> None:
    """The list of her devices names a number that contradicts what is known: nobody needs to be asked."""
    stranger = move_number(wired)
    confirm(wired, stranger)
    confirmation = siti_s_stop(wired)
    wired.network.tell_numbers = True
    wired.paired.now += 10 * 3600
    wired.paired.keys.sending.expire_device_list(wired.paired.profile, "1234@lid")
    assert wired.deliver(confirmation) == Verdict("sent")
    assert texts(wired.siti.devices[0])[-1] == confirmation.text


def test_an_answer_that_waited_goes_to_no_new_owner(wired: WiredFunctions) -> None:
    confirmation = siti_s_stop(wired)
    stranger = move_number(wired)
    confirm(wired, stranger)
    assert wired.deliver(confirmation) == Verdict("suppressed", NUMBER_MOVED)
    assert texts(stranger.devices[0]) == []


def test_an_edit_is_a_message_to_who_never_had_what_it_changes(wired: WiredFunctions) -> None:
    before, edit = wired.tell(5), plan(wired, 6)
    stranger = move_number(wired)
    confirm(wired, stranger)
    said = Edit(before.message_id, "Tiket 6", edit.created_at)
    edit = replace(edit, id=edit.sibling_id("edit"), text_id=edit.id, content=said, ticket_id="TCK-9")
    wired.stores.notifications.put_new(edit)
    while (verdict := wired.deliver(wired.stored(edit))).outcome == "rerouted":
        pass
    assert (verdict.outcome, wired.stored(edit).state) == ("sent", State.SUPPRESSED)
    assert texts(stranger.devices[0]) == ["Tiket 6"]


def held(wired: WiredFunctions) -> Person:
    """The number moved, and what is for it waits. Return the stranger."""
    stranger = move_number(wired)
    a_month(wired, stranger)
    assert wired.deliver(plan(wired, 2)) == Verdict("parked", NUMBER_MOVED)
    stranger.devices[0].begin(our_bundle(wired))
    return stranger


def test_a_number_alone_names_who_has_it_now(wired: WiredFunctions) -> None:
    stranger = held(wired)
    assert write(wired, stranger, "STOP", **{"from": JID(NUMBER, PN), "sender_pn": None}) == "reply"
    assert wired.stores.people.find(ACCOUNT, "5678@lid").opted_out_at is not None
    assert wired.stores.people.find(ACCOUNT, "1234@lid").opted_out_at is None


def test_who_has_the_number_now_is_heard_without_a_further_question(wired: WiredFunctions) -> None:
    stranger = held(wired)
    for _ in range(QUESTIONS_PER_HOUR + 1):
        wired.stores.people.count_number_question_in_hour(ACCOUNT, int(wired.paired.now * 1000))
    assert write(wired, stranger, "STOP") == "reply"
    assert wired.stores.people.find(ACCOUNT, "5678@lid").opted_out_at is not None


def test_what_waits_for_the_old_number_holds_up_nothing_for_the_new_one(wired: WiredFunctions) -> None:
    held(wired)
    wired.paired.now += 1
    assert wired.deliver(plan(wired, 3)) == Verdict("parked", "behind")
    wired.paired.now += 1
    later = wired.plan(4)
    while wired.deliver(wired.stored(later)).outcome == "rerouted":
        pass
    assert texts(wired.siti.devices[0])[-1] == "Tiket 4"


def test_twin_for_one_number_the_order_holds(wired: WiredFunctions) -> None:
    stranger = held(wired)
    wired.paired.now += 1
    later = plan(wired, 3)
    wired.paired.keys.contacts.learn(str(stranger.pn), str(wired.siti.user))
    assert wired.deliver(later) == Verdict("parked", "behind")
