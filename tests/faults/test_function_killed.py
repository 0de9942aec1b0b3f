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
    failures,
    kill_all,
    queued_at_the_desk,
    receipts_for,
    state_of,
    times_routed,
)
from tests.support.stack import DESK, Bus, Notice, Person, Stage, eventually, new_ticket
from tocsin.notify.notification import State

pytestmark = pytest.mark.faults

MID_EVENT_TRIES = 5


def test_a_sender_killed_after_its_reservation_and_before_its_send(
    stage: Stage, connector: Connector, sender: Function
) -> None:
    siti = stage.known("Siti")
    kill_all(sender)  # A fresh one has no connection to the connector, so it stops before it says a word.
    number = stage.next_number(siti)
    with connector.process.paused():
        notice = stage.tell(siti)
        eventually(lambda: stage.next_number(siti) > number, "no number was taken")
        kill_all(sender)
    assert times_routed(stage, notice) == 0

    stage.until(notice, State.READ)
    assert stage.next_number(siti) == number + 2, "the lost number is a gap, and no more"
    assert times_routed(stage, notice) == 1
    assert "crashed" in causes(stage, notice)
    stage.nothing_is_lost(notice)


def test_a_sender_killed_after_the_ack_and_before_its_state_is_noted(
    stage: Stage, connector: Connector, sender: Function
) -> None:
    siti, ayu = stage.known("Siti"), stage.known("Ayu")
    stage.phones.break_phone(siti.number, "offline")  # No receipt of hers tells that it was sent.
    stage.phones.inject("delay", account=DESK, device=1, seconds=0.5)
    notice = stage.tell(siti)
    stage.phones.wait_for_event("message", id=notice.message_id)
    for process in sender.processes:
        process.send(signal.SIGSTOP)
    connector_has_all(stage, ayu)
    kill_all(sender)
    stage.phones.clear_faults()
    assert state_of(stage, notice) is State.PLANNED

    stage.until(notice, State.SENT)
    assert times_routed(stage, notice) == 2
    stage.phones.break_phone(siti.number, "online")
    stage.until(notice, State.READ)
    stage.nothing_is_lost(notice)


def test_a_planner_killed_in_mid_event(stage: Stage, connector: Connector, planner: Function) -> None:
    stage.known("Siti")  # A planner is running now.
    people = [stage.person(f"Technician {number}") for number in range(10)]
    for _ in range(MID_EVENT_TRIES):
        notices = told_all(stage, people)
        warm = planner.processes
        while stage.look(notices[0]) is None:
            pass  # It is a matter of milliseconds.
        for process in warm:
            process.kill()
        planned = [notice for notice in notices if stage.look(notice) is not None]
        stage.all_until(notices, State.READ, seconds=60)
        stage.nothing_is_lost(*notices)
        if len(planned) < len(notices):
            return
    pytest.fail(f"the planner was never killed in mid event, in {MID_EVENT_TRIES} tries")


def test_a_receiver_killed_after_it_read_a_reply_and_before_it_said_so(
    stage: Stage, connector: Connector, receiver: Function, bus: Bus
) -> None:
    siti = stage.known("Siti")
    kill_all(receiver)
    receiver.pause_intake()
    reply = stage.phones.write(siti.number, DESK, "Terima kasih")
    eventually(lambda: queued_at_the_desk(stage) == 0, "the connector doesn't take the reply")
    with connector.process.paused():
        receiver.resume_intake()
        bus.wait("ReplyReceived", message_id=reply["id"])
        kill_all(receiver)
    assert receipts_for(stage, siti, reply["id"]) == []

    eventually(lambda: receipts_for(stage, siti, reply["id"]), "the reply is never confirmed")
    assert len(bus.all("ReplyReceived", message_id=reply["id"])) == 1
    later = stage.tell(siti)
    stage.until(later, State.READ)
    assert failures(stage, later) == [], "the session was harmed"
    stage.nothing_is_lost(later)


def test_a_receiver_killed_while_it_sends_again_what_a_phone_could_not_read(
    stage: Stage, connector: Connector, receiver: Function
) -> None:
    siti = stage.known("Siti")
    stage.phones.break_phone(siti.number, "corrupt-session")
    receiver.pause_intake()
    notice = stage.tell(siti)
    stage.until(notice, State.SENT)
    stage.phones.wait_for_event("phone-retry", id=notice.message_id)
    stage.phones.inject("lose-messages", account=DESK, device=1, to=siti.number)
    receiver.resume_intake()
    stage.phones.wait_for_event("fault-met", id=notice.message_id)
    kill_all(receiver)
    # Else the connector would wait for the lost ack before it hands over another copy.
    stage.phones.inject("drop", account=DESK)

    stage.until(notice, State.READ)
    assert failures(stage, notice) == ["BadMac"], "one session was made for it, not two"
    stage.nothing_is_lost(notice)


def told_all(stage: Stage, people: list[Person]) -> list[Notice]:
    """One event that all of them must be told of."""
    return stage.put("TicketCreated", new_ticket(), technicians=people)
