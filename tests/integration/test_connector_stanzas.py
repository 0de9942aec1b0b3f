"""Stanzas that ask more of the connector than to be passed on: calls, and what is too large for the queue."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.connector_processes import (
    OWN,
    SITI,
    Collected,
    RunningConnectors,
    eventually,
    texts_arrive,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

pytestmark = pytest.mark.integration

SITI_PN = JID.parse(f"{SITI}@s.whatsapp.net")


def ring(connectors: RunningConnectors) -> None:
    offer = Node("offer", {"call-id": "CALL1", "call-creator": SITI_PN})
    connectors.say(Node("call", {"id": "C1", "from": SITI_PN, "t": "1"}, (offer,)))


def said_of_calls(connectors: RunningConnectors) -> list[dict[str, Any]]:
    """What the server received about them, in order."""
    return connectors.phones.events(kind="call")[0]


def test_where_that_is_wanted_a_call_is_acknowledged_and_declined(connectors: RunningConnectors) -> None:
    connectors.set("decline-calls", True)
    process = connectors.start()
    connectors.pair(OWN)
    ring(connectors)
    eventually(lambda: len(said_of_calls(connectors)) == 2, "the phone rings on")
    ack, reject = said_of_calls(connectors)
    assert (ack["step"], ack["id"], ack["to"]) == ("ack", "C1", str(SITI_PN))
    assert (reject["step"], reject["call"], reject["to"]) == ("reject", "CALL1", str(SITI_PN))
    assert process.said("call declined", account="default")
    assert "call" in [node.tag for node in connectors.stanzas()]


def test_by_itself_it_acknowledges_a_call_and_lets_it_ring(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    ring(connectors)
    eventually(lambda: said_of_calls(connectors), "it isn't acknowledged")
    # What it sends after the text's ack would have come after the refusal.
    texts_arrive(connectors, ["after the call"])
    eventually(
        lambda: connectors.phones.phone(OWN)["devices"][1]["queued"] == 0, "the text isn't acknowledged"
    )
    assert [event["step"] for event in said_of_calls(connectors)] == ["ack"]
    assert not process.said("call declined")


def incompressible(size: int) -> str:
    return random.Random(size).randbytes(size // 2).hex()


def test_a_message_of_a_hundred_kilobytes_lies_in_the_queue_like_any_other(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    texts_arrive(connectors, [incompressible(150_000), "and after it"])
    collected = Collected(connectors)
    eventually(lambda: collected.has(2), "lost")
    assert collected.ids == [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    assert not process.said("stanza too large for the queue")


def test_a_message_that_no_queue_holds_is_acknowledged_counted_and_named_and_the_next_one_comes(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    texts_arrive(connectors, [incompressible(400_000), "and after it"])
    large, after = (entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"])
    collected = Collected(connectors)
    eventually(lambda: collected.has(1), "the connector is deaf")
    assert collected.ids == [after]
    assert connectors.phones.wait_for_event("put-aside")["id"] == large
    [line] = [line for line in process.lines() if line.get("message") == "stanza too large for the queue"]
    assert line["tag"] == "message"
    assert line["size"] > 400_000
    assert not process.said("connection ended")
    assert process.terminate() == 0  # it says its figures once more when it goes
    assert [line["StanzasTooLarge"] for line in process.lines() if "StanzasTooLarge" in line] == [[1]]


def test_a_list_of_thousands_of_devices_is_queued_whole(connectors: RunningConnectors) -> None:
    """Nobody has so many, and whoever claims to costs us no connection: such a list shrinks well."""
    process = connectors.start()
    connectors.pair(OWN)
    devices = tuple(
        Node("device", {"jid": JID(SITI, SITI_PN.server, number % 256), "key-index": str(number)})
        for number in range(20_000)
    )
    update = Node("update", {"hash": "2:abcdef"}, (Node("key-index-list", {"ts": "1"}, b"x"), *devices))
    connectors.say(
        Node("notification", {"from": SITI_PN, "type": "devices", "id": "N1", "t": "1"}, (update,))
    )
    [queued] = eventually(
        lambda: [node for node in connectors.stanzas() if node.attrs.get("type") == "devices"], "lost"
    )
    assert len(queued.require_child("update").children("device")) == 20_000
    assert not process.said("connection ended")
