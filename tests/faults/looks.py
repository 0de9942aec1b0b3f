"""What the tests of faults look at besides the stack: the wire, the history, and who confirmed what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.faults.fleet import Function
from tests.support.stack import DESK, DeployedStack, Notice, Person, eventually
from tocsin.notify.notification import State


def kill_all(function: Function) -> None:
    """Returns when none of its processes is left."""
    function.kill()
    eventually(lambda: not function.processes, "a killed process still runs")


def connector_has_all(deployed: DeployedStack, writer: Person) -> None:
    """Returns when the connector has all that the server sent it, and a stanza more."""
    deployed.phones.write(writer.number, DESK, "Halo")
    eventually(lambda: queued_at_the_desk(deployed) == 0, "the connector doesn't take a reply")


def queued_at_the_desk(deployed: DeployedStack) -> int:
    """How many stanzas wait for the account's companion or its confirmation."""
    devices = deployed.phones.phone(DESK)["devices"]
    return int(next(device["queued"] for device in devices if device["device"] == 1))


def everything_received(deployed: DeployedStack) -> None:
    """Returns when no stanza waits, and none is in hand."""
    eventually(lambda: stanzas(deployed) == (0, 0), "stanzas wait")


def stanzas_in_hand(deployed: DeployedStack) -> int:
    """How many stanzas the queue hides from others."""
    return stanzas(deployed)[1]


def stanzas(deployed: DeployedStack) -> tuple[int, int]:
    """How many stanzas wait in the queue, and how many are in hand."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    told = deployed.world.deployment.sqs.get_queue_attributes(
        QueueUrl=deployed.stack.outputs["StanzasQueueUrl"], AttributeNames=list(names)
    )
    waiting, in_hand = (int(told["Attributes"][name]) for name in names)
    return waiting, in_hand


@contextlib.contextmanager
def hidden_for(deployed: DeployedStack, seconds: int) -> Iterator[None]:
    """The stanza queue hides for so long what was received, while the block lasts."""
    queue = {"QueueUrl": deployed.stack.outputs["StanzasQueueUrl"]}
    sqs, name = deployed.world.deployment.sqs, "VisibilityTimeout"
    before = sqs.get_queue_attributes(**queue, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(**queue, Attributes={name: str(seconds)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(**queue, Attributes={name: before[name]})


def times_routed(deployed: DeployedStack, notice: Notice) -> int:
    """How often the server passed the message on."""
    events, _ = deployed.phones.events(kind="message")
    return sum(event["id"] == notice.message_id for event in events)


def receipts_for(deployed: DeployedStack, person: Person, message_id: str) -> list[str]:
    """The receipts by which the desk's companion confirmed what this person wrote."""
    sent = deployed.phones.mailbox(person.number)["sent"]
    devices = (device for entry in sent if entry["id"] == message_id for device in entry["delivered"])
    return [device for device in devices if device == f"{DESK}:1"]


def state_of(deployed: DeployedStack, notice: Notice) -> State:
    found = deployed.look(notice)
    assert found is not None
    return found.state


def causes(deployed: DeployedStack, notice: Notice) -> list[str]:
    """The history, by causes."""
    found = deployed.look(notice)
    assert found is not None
    return [attempt.cause for attempt in found.attempts]


def failures(deployed: DeployedStack, notice: Notice) -> list[str]:
    """Why the phone couldn't read it before it could."""
    shown = deployed.shown(notice)
    assert shown is not None
    return list(shown["failures"])
