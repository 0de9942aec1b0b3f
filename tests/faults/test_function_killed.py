"""A function's process gets SIGKILL at the worst moment. What it had begun is done by the next one.

The moments are held open from outside: a connector that stands still, an ack that doesn't come, a queue that
keeps what it has. So each test knows what was done before the kill, and what was not.
"""

from __future__ import annotations

import signal

import pytest

from tests.faults.fleet import Connector, Function
from tests.faults.looks import (
    causes,
    connector_has_all,
    everything_received,
    failures,
    hidden_for,
    kill_all,
    queued_at_the_desk,
    receipts_for,
    stanzas_in_hand,
    state_of,
    times_routed,
)
from tests.support.stack import DESK, Bus, DeployedStack, Notice, Person, eventually, new_ticket
from tocsin.notify.notification import State

pytestmark = pytest.mark.faults

MID_EVENT_TRIES = 5
HIDDEN_ON_AWS_SECONDS = 120


def test_a_sender_killed_after_its_reservation_and_before_its_send(
    deployed: DeployedStack, connector: Connector, sender: Function
) -> None:
    siti = deployed.known("Siti")
    kill_all(sender)  # A fresh one has no connection to the connector, so it stops before it says a word.
    number = deployed.next_number(siti)
    with connector.process.paused():
        notice = deployed.tell(siti)
        eventually(lambda: deployed.next_number(siti) > number, "no number was taken")
        kill_all(sender)
    assert times_routed(deployed, notice) == 0

    deployed.until(notice, State.READ)
    assert deployed.next_number(siti) == number + 2, "the lost number is a gap, and no more"
    assert times_routed(deployed, notice) == 1
    assert "redelivered" in causes(deployed, notice)
    deployed.nothing_is_lost(notice)


def test_a_sender_killed_after_the_ack_and_before_its_state_is_noted(
    deployed: DeployedStack, connector: Connector, sender: Function
) -> None:
    siti, ayu = deployed.known("Siti"), deployed.known("Ayu")
    deployed.phones.break_phone(siti.number, "offline")  # No receipt of hers tells that it was sent.
    deployed.phones.inject("delay", account=DESK, device=1, seconds=0.5)
    notice = deployed.tell(siti)
    deployed.phones.wait_for_event("message", id=notice.message_id)
    for process in sender.processes:
        process.send(signal.SIGSTOP)
    connector_has_all(deployed, ayu)
    kill_all(sender)
    deployed.phones.clear_faults()
    assert state_of(deployed, notice) is State.PLANNED

    deployed.until(notice, State.SENT)
    assert times_routed(deployed, notice) == 2
    deployed.phones.break_phone(siti.number, "online")
    deployed.until(notice, State.READ)
    deployed.nothing_is_lost(notice)


def test_a_planner_killed_in_mid_event(
    deployed: DeployedStack, connector: Connector, planner: Function
) -> None:
    deployed.known("Siti")  # A planner is running now.
    people = [deployed.person(f"Technician {number}") for number in range(10)]
    for _ in range(MID_EVENT_TRIES):
        notices = told_all(deployed, people)
        warm = planner.processes
        while deployed.look(notices[0]) is None:
            pass  # It is a matter of milliseconds.
        for process in warm:
            process.kill()
        planned = [notice for notice in notices if deployed.look(notice) is not None]
        deployed.all_until(notices, State.READ, seconds=60)
        deployed.nothing_is_lost(*notices)
        if len(planned) < len(notices):
            return
    pytest.fail(f"the planner was never killed in mid event, in {MID_EVENT_TRIES} tries")


def test_a_receiver_killed_after_it_read_a_reply_and_before_it_said_so(
    deployed: DeployedStack, connector: Connector, receiver: Function, bus: Bus
) -> None:
    siti = deployed.known("Siti")
    kill_all(receiver)
    receiver.pause_intake()
    reply = deployed.phones.write(siti.number, DESK, "Terima kasih")
    eventually(lambda: queued_at_the_desk(deployed) == 0, "the connector doesn't take the reply")
    with connector.process.paused():
        receiver.resume_intake()
        bus.wait("ReplyReceived", message_id=reply["id"])
        kill_all(receiver)
    assert receipts_for(deployed, siti, reply["id"]) == []

    eventually(lambda: receipts_for(deployed, siti, reply["id"]), "the reply is never confirmed")
    assert len(bus.all("ReplyReceived", message_id=reply["id"])) == 1
    later = deployed.tell(siti)
    deployed.until(later, State.READ)
    assert failures(deployed, later) == [], "the session was harmed"
    deployed.nothing_is_lost(later)


def test_a_receiver_killed_while_it_sends_again_what_a_phone_could_not_read(
    deployed: DeployedStack, connector: Connector, receiver: Function
) -> None:
    siti = deployed.known("Siti")
    deployed.phones.break_phone(siti.number, "corrupt-session")
    receiver.pause_intake()
    notice = deployed.tell(siti)
    deployed.until(notice, State.SENT)
    deployed.phones.wait_for_event("phone-retry", id=notice.message_id)
    deployed.phones.inject("lose-messages", account=DESK, device=1, to=siti.number)
    receiver.resume_intake()
    deployed.phones.wait_for_event("fault-met", id=notice.message_id)
    kill_all(receiver)
    deployed.until(notice, State.READ)
    assert failures(deployed, notice) == ["BadMac"], "one session was made for it, not two"
    deployed.nothing_is_lost(notice)


def test_what_a_stopped_receiver_has_in_hand_comes_back_long_before_its_queue_would_bring_it(
    deployed: DeployedStack, connector: Connector, receiver: Function
) -> None:
    """The queue hides it for as long as on AWS; the run said that it is there, second by second, until it was
    stopped."""
    siti = deployed.known("Siti")
    connector_has_all(deployed, siti)
    everything_received(deployed)
    deployed.phones.break_phone(siti.number, "corrupt-session")
    receiver.pause_intake()
    notice = deployed.tell(siti)
    deployed.until(notice, State.SENT)
    deployed.phones.wait_for_event("phone-retry", id=notice.message_id)
    deployed.phones.inject("lose-messages", account=DESK, device=1, to=siti.number)
    with hidden_for(deployed, HIDDEN_ON_AWS_SECONDS):
        receiver.resume_intake()
        deployed.phones.wait_for_event("fault-met", id=notice.message_id)
        for process in receiver.processes:
            process.send(signal.SIGSTOP)
        eventually(lambda: stanzas_in_hand(deployed) == 0, "the stopped process keeps what it had")
        kill_all(receiver)
    deployed.until(notice, State.READ)
    assert failures(deployed, notice) == ["BadMac"]
    deployed.nothing_is_lost(notice)


def told_all(deployed: DeployedStack, people: list[Person]) -> list[Notice]:
    """One event that all of them must be told of."""
    return deployed.put("TicketCreated", new_ticket(), technicians=people)
