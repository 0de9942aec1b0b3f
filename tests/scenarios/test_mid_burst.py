"""What changes while messages are on their way: a person's address, a companion's keys, our own clock.

Each was seen in the field to end in "waiting for this message" with clients that key what they remember by
the address of the moment, by the number of a device, or by the time of day.
"""

from __future__ import annotations

import pytest

from tests.support.fake_whatsapp import Device, Person, message_from, wrapped
from tests.support.memory_aws import MemoryAws
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import facts, garbled, our_bundle, replies, reply_of_everybody, retry_of
from tocsin.multidevice import retry_case, retry_rights
from tocsin.notify.notification import Notification, Recovery
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message

DAY = 86_400


@pytest.fixture
def wired() -> WiredFunctions:
    """Siti's two devices have read one message and written back."""
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    reply_of_everybody(wired)
    return wired


def phone(wired: WiredFunctions) -> Device:
    return wired.siti.devices[0]


# -- the address changes between a message and what is asked about it ----------------------------------------


def from_number(node: Node, siti: Person) -> Node:
    """As it comes from a person who didn't move to a LID yet: her number, and nothing besides."""
    attrs = {name: value for name, value in node.attrs.items() if name != "sender_pn"}
    return Node(node.tag, {**attrs, "from": siti.pn}, node.content)


@pytest.fixture
def by_number() -> WiredFunctions:
    """Siti has written under her phone number, and was answered."""
    wired = WiredFunctions(MemoryAws())
    phone(wired).begin(our_bundle(wired))
    first = message_from(phone(wired), wired.siti, "R1", "Halo")
    assert wired.receive(from_number(first, wired.siti)).outcome == "reply"
    wired.tell(1)
    return wired


def test_a_sender_who_moves_to_a_lid_while_we_ask_them_is_asked_on_and_read(
    by_number: WiredFunctions,
) -> None:
    """Our count goes on, so fresh keys come along: a client that counts by address begins anew."""
    wired = by_number
    assert wired.receive(from_number(garbled(wired, "R2"), wired.siti)).outcome == "asked-again"
    assert wired.receive(garbled(wired, "R2", count=1)).facts == {"count": 2, "with_keys": True}
    assert retry_of(wired).attrs["count"] == "2"
    phone(wired).begin(our_bundle(wired))
    again = message_from(phone(wired), wired.siti, "R2", "apa kabar", count=2)
    assert wired.receive(again).outcome == "reply"
    assert {reply["text"] for reply in replies(wired)} == {"Halo", "apa kabar"}


def test_a_recipient_who_asks_again_under_the_other_address_is_one_device_with_one_count(
    wired: WiredFunctions,
) -> None:
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = wired.tell(2)
    outcomes = []
    for count in range(1, 8):
        asked = wired.network.retry_receipt(phone(wired), notification.message_id, "BadMac", count=count)
        by_turns = asked if count % 2 else from_number(asked, wired.siti)
        outcomes.append(wired.receive(by_turns).outcome)
    assert outcomes == ["resent"] * 5 + ["exhausted"] * 2
    assert list(wired.stored(notification).recoveries) == [str(wired.siti.user)]


# -- a companion's number is given to another one within a burst ---------------------------------------------


def linked_anew(siti: Person) -> Device:
    """Another computer is linked under the number of the one that was unlinked. Return the old one."""
    old = siti.devices[1]
    siti.devices[1] = Device(old.jid)
    return old


def test_another_companion_under_the_same_number_reads_the_rest_of_the_burst_and_the_old_one_none(
    wired: WiredFunctions,
) -> None:
    old: list[Device] = []

    def relink(node: Node) -> None:
        if len(wired.network.messages) == relink_at and not old:
            old.append(linked_anew(wired.siti))

    relink_at = len(wired.network.messages) + 2
    wired.network.before_delivery = relink
    for number in range(2, 6):
        wired.tell(number)
    wired.answer_retries()
    wired.tell(6)
    assert texts(old[0]) == ["Tiket 1", "Tiket 2"]
    assert texts(wired.siti.devices[1]) == [f"Tiket {number}" for number in range(3, 7)]
    assert texts(phone(wired)) == [f"Tiket {number}" for number in range(1, 7)]
    assert wired.network.keys_used_twice() == []


def test_a_list_that_shrinks_and_grows_again_within_a_burst_loses_no_copy(wired: WiredFunctions) -> None:
    laptop = wired.siti.devices.pop(1)
    wired.tell(2)
    wired.siti.devices[1] = laptop
    wired.siti.devices[2] = Device(wired.siti.user.with_device(2))
    wired.tell(3)
    for device in (1, 2):
        jid = wired.siti.devices[device].jid
        note = Node(
            "notification", {"id": "S", "t": "1", "type": "devices", "from": wired.siti.user}, (added(jid),)
        )
        wired.receive(note)
    wired.tell(4)
    wired.answer_retries()
    assert texts(phone(wired))[1:] == ["Tiket 2", "Tiket 3", "Tiket 4"]
    assert texts(laptop)[-1] == "Tiket 4"
    assert texts(wired.siti.devices[2]) == ["Tiket 4"]


@pytest.mark.parametrize("told", [False, True], ids=["nobody told us", "WhatsApp told us"])
def test_a_phone_that_is_installed_anew_within_a_burst_reads_what_follows(
    wired: WiredFunctions, told: bool
) -> None:
    """Its companion is gone with it, and gets nothing more."""
    laptop, begun = wired.siti.devices[1], len(wired.network.messages)

    def reinstall(node: Node) -> None:
        if len(wired.network.messages) == begun + 2:
            phone(wired).reinstall()
            wired.siti.devices.pop(1, None)

    wired.network.before_delivery = reinstall
    for number in range(2, 5):
        wired.tell(number)
    if told:
        news = {"id": "S", "t": "1", "type": "encrypt", "from": wired.siti.pn, "lid": wired.siti.user}
        wired.receive(Node("notification", news, (Node("identity"),)))
    wired.answer_retries()
    wired.tell(5)
    wired.answer_retries()
    assert sorted(texts(phone(wired))) == [f"Tiket {number}" for number in range(1, 6)]
    assert texts(laptop) == ["Tiket 1", "Tiket 2"]
    assert wired.network.keys_used_twice() == []


def test_somebody_whose_devices_ran_out_of_one_time_prekeys_reads_a_burst_from_the_first_message_on() -> None:
    wired = WiredFunctions(MemoryAws())
    wired.network.prekeys_exhausted = True
    for number in range(1, 5):
        wired.tell(number)
    for device in wired.siti.devices.values():
        assert texts(device) == [f"Tiket {number}" for number in range(1, 5)]
    assert (wired.network.retries, wired.network.keys_used_twice()) == ([], [])


def added(jid: JID) -> Node:
    return Node("add", {}, (Node("device", {"jid": jid, "key-index": str(jid.device)}),))


# -- our clock jumps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
def test_after_a_clock_that_jumped_no_message_goes_twice_in_one_session(
    wired: WiredFunctions, jump: int
) -> None:
    """What was refused in a session would be refused there again, for ever."""
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = wired.tell(2)
    wired.paired.now += jump
    base_keys = [facts(wired).base_key]
    for count in range(1, 5):
        asked = wired.network.retry_receipt(phone(wired), notification.message_id, "BadMac", count=count)
        assert wired.receive(asked).outcome == "resent"
        base_keys.append(facts(wired).base_key)
        wired.paired.now += 5
    assert len(set(base_keys)) == 5


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
def test_a_clock_that_jumps_ends_no_limit(wired: WiredFunctions, jump: int) -> None:
    """A device that never reads a message gets it five times more, and no more."""
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = wired.tell(2)
    wired.paired.now += jump
    outcomes = []
    for count in range(1, 9):
        asked = wired.network.retry_receipt(phone(wired), notification.message_id, "BadMac", count=count)
        outcomes.append(wired.receive(asked).outcome)
        wired.paired.now += 5
    assert outcomes == ["resent"] * 5 + ["exhausted"] * 3


def test_a_device_whose_count_begins_anew_is_served_though_the_clock_went_back(wired: WiredFunctions) -> None:
    phone(wired).corrupt()
    notification = wired.tell(2)
    wired.answer_retries()
    wired.paired.now -= DAY
    wired.network.forget_counts()
    phone(wired).corrupt()
    asked = wired.network.retry_receipt(phone(wired), notification.message_id, "BadMac")
    assert wired.receive(asked).outcome == "resent"


@pytest.mark.parametrize(("jump", "archived"), [(-DAY, True), (30, False)], ids=["a day", "a moment"])
def test_a_session_that_breaks_after_the_clock_went_back_is_archived_once_more(
    wired: WiredFunctions, jump: int, archived: bool
) -> None:
    """Once an hour, by a clock that may be wrong: what it wrote then must not hold for that day."""
    for count in range(2):
        wired.receive(garbled(wired, "B1", count=count))
    assert facts(wired) is None
    wired.tell(2)
    wired.paired.now += jump
    for count in range(2):
        wired.receive(garbled(wired, "B2", count=count))
    assert (facts(wired) is None) is archived


def test_twin_that_goes_by_the_clock_sends_it_for_as_long_as_it_is_asked(
    wired: WiredFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_time(notification: Notification, device: str) -> Recovery | None:
        recovery = notification.recoveries.get(device)
        sent = [attempt.at for attempt in notification.attempts if attempt.cause == "sent"]
        return None if recovery is None or (sent and recovery.at < sent[-1]) else recovery

    for module in (retry_case, retry_rights):
        monkeypatch.setattr(module, "recovery_of", by_time)
    with pytest.raises(AssertionError):
        test_a_clock_that_jumps_ends_no_limit(wired, -DAY)


# -- the same again under another id
# ---------------------------------------------------------------------------


def test_a_message_that_comes_again_under_another_id_is_told_once(wired: WiredFunctions) -> None:
    """As after a reconnect of the sender, who believes that it was lost."""
    ciphertext = phone(wired).encrypt(text_message("STOP"))
    first = wired.receive(wrapped(phone(wired), wired.siti, "R5", ciphertext))
    again = wired.receive(wrapped(phone(wired), wired.siti, "R6", ciphertext))
    assert (first.outcome, again.outcome) == ("reply", "duplicate")
    assert wired.receive(message_from(phone(wired), wired.siti, "R7", "START")).outcome == "reply"
