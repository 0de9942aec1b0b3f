"""The network loses and doubles: acks, messages, events, orders, stanzas. Each message is seen once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.fleet import Connector, Function
from tests.faults.looks import connector_has_all, failures, queued_at_the_desk, receipts_for, times_routed
from tests.support.stack import DESK, Bus, DeployedStack, eventually, new_ticket
from tocsin.notify.notification import State
from tocsin.notify.queues import Order

pytestmark = pytest.mark.faults


# Lost


@pytest.mark.parametrize("fault", ["lose-acks", "lose-messages"])
def test_what_was_lost_with_the_connection_goes_out_again_under_its_id(
    deployed: DeployedStack, connector: Connector, fault: str
) -> None:
    siti, new = deployed.known("Siti"), deployed.person("Somebody new")
    deployed.phones.inject(fault, account=DESK, device=1, n=2, drop=True)
    notices = [deployed.tell(siti), deployed.tell(new)]
    deployed.all_until(notices, State.READ)
    for notice in notices:
        assert failures(deployed, notice) == []
    deployed.nothing_is_lost(*notices)


def test_an_ack_that_never_comes_holds_up_nobody_else_and_doubles_nothing(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti, ayu = deployed.known("Siti"), deployed.known("Ayu")
    deployed.phones.inject("lose-acks", account=DESK, device=1, to=siti.number)
    unacknowledged = deployed.tell(siti)
    # The phone's receipt says more than the ack would have.
    deployed.until(unacknowledged, State.READ)
    after = [deployed.tell(siti), deployed.tell(ayu)]
    deployed.all_until(after, State.READ)
    # The connector sends the same stanza once more after some seconds, and the phone shows it once.
    assert times_routed(deployed, unacknowledged) <= 2
    deployed.nothing_is_lost(unacknowledged, *after)


def test_a_socket_that_is_dropped_over_and_over_loses_and_doubles_nothing(
    deployed: DeployedStack, connector: Connector
) -> None:
    people = [deployed.known("Siti"), deployed.known("Budi"), deployed.person("Somebody new")]
    notices = []
    for _ in range(4):
        notices += deployed.tell_in_turn(people)
        deployed.phones.inject("drop", account=DESK)
    deployed.all_until(notices, State.READ, seconds=60)
    for person in people:
        deployed.shown_in_order(person, [notice for notice in notices if notice.person == person])
    deployed.nothing_is_lost(*notices)


# Doubled


def test_an_event_that_the_bus_delivers_three_times_is_told_once(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti, ticket = deployed.known("Siti"), new_ticket()
    (notice,) = deployed.put("TicketCreated", ticket, customer=siti)
    for _ in range(2):
        deployed.put("TicketCreated", ticket, customer=siti)
    later = deployed.tell(siti)
    deployed.all_until([notice, later], State.READ)
    assert times_routed(deployed, notice) == 1
    deployed.nothing_is_lost(notice, later)


def test_an_event_that_its_queue_delivers_again_after_it_was_sent_is_told_once(
    deployed: DeployedStack, connector: Connector, planner: Function
) -> None:
    siti, ticket = deployed.known("Siti"), new_ticket()
    planner.pause_intake()
    try:
        (notice,) = deployed.put("TicketCreated", ticket, customer=siti)
        (event,) = taken(deployed, "TicketEventsQueueUrl")
    finally:
        planner.resume_intake()
    sqs, url = deployed.world.deployment.sqs, deployed.stack.outputs["TicketEventsQueueUrl"]
    for _ in range(2):
        sqs.send_message(QueueUrl=url, MessageBody=event["Body"])
        deployed.until(notice, State.READ)
    later = deployed.tell(siti)
    deployed.until(later, State.READ)
    assert times_routed(deployed, notice) == 1
    deployed.nothing_is_lost(notice, later)


def test_an_order_that_its_queue_delivers_again_is_dropped(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti = deployed.known("Siti")
    notice = deployed.tell(siti)
    stored = deployed.until(notice, State.READ)
    order = Order.of(stored)
    for _ in range(3):
        deployed.world.deployment.sqs.send_message(
            QueueUrl=deployed.stack.outputs["NotificationsQueueUrl"],
            MessageBody=json.dumps(order.to_json()),
            MessageGroupId=order.group,
            MessageDeduplicationId=uuid4().hex,
        )
    later = deployed.tell(siti)
    deployed.until(later, State.READ)
    assert times_routed(deployed, notice) == 1
    deployed.nothing_is_lost(notice, later)


def test_stanzas_that_come_twice_count_once(
    deployed: DeployedStack, connector: Connector, receiver: Function, recorder: Function, bus: Bus
) -> None:
    """A message, a request to send again, and receipts: as after a connector that died before its ack."""
    siti, ayu = deployed.known("Siti"), deployed.known("Ayu")
    deployed.phones.break_phone(siti.number, "corrupt-session")
    receiver.pause_intake()
    recorder.pause_intake()
    broken, whole = deployed.tell(siti), deployed.tell(ayu)
    deployed.all_until([broken, whole], State.SENT)
    reply = deployed.phones.write(ayu.number, DESK, "Oke")
    connector_has_all(deployed, deployed.person("Somebody else"))
    for queue, at_least in (("StanzasQueueUrl", 3), ("ReceiptsQueueUrl", 1)):
        twice(deployed, queue, taken(deployed, queue, at_least=at_least))
    receiver.resume_intake()
    recorder.resume_intake()

    deployed.all_until([broken, whole], State.READ)
    later = [deployed.tell(siti), deployed.tell(ayu)]
    deployed.all_until(later, State.READ)
    eventually(lambda: queued_at_the_desk(deployed) == 0, "the desk's mailbox isn't empty")
    assert times_routed(deployed, broken) == 2, "it was sent again more than once"
    assert [failures(deployed, notice) for notice in later] == [[], []]
    assert receipts_for(deployed, ayu, reply["id"])
    assert len(bus.all("ReplyReceived", message_id=reply["id"])) == 1
    assert len(bus.all("NotificationRead", notification_id=whole.id)) <= 1
    deployed.nothing_is_lost(broken, whole, *later)


def taken(deployed: DeployedStack, queue: str, *, at_least: int = 1) -> list[dict[str, Any]]:
    """Everything that lies in a queue whose function doesn't take it, taken away in its order."""
    sqs, url = deployed.world.deployment.sqs, deployed.stack.outputs[queue]
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
        for message in answer.get("Messages", ()):
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(found) >= at_least and not answer.get("Messages")

    eventually(enough, lambda: f"{len(found)} of {at_least} messages in {queue}")
    return found


def twice(deployed: DeployedStack, queue: str, messages: Sequence[dict[str, Any]]) -> None:
    """Put messages into their queue, each two times in a row, past the queue's own deduplication."""
    for message in messages:
        for _ in range(2):
            group = message["Attributes"].get("MessageGroupId")
            in_order = {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex} if group else {}
            deployed.world.deployment.sqs.send_message(
                QueueUrl=deployed.stack.outputs[queue], MessageBody=message["Body"], **in_order
            )
