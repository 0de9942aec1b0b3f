"""Stanzas that ask more of the connector than to be passed on: calls, and what is too large for the queue."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.connector_processes import OWN, SITI, Collected, World, eventually, texts_arrive
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

pytestmark = pytest.mark.integration

SITI_PN = JID.parse(f"{SITI}@s.whatsapp.net")


def ring(house: World) -> None:
    offer = Node("offer", {"call-id": "CALL1", "call-creator": SITI_PN})
    house.say(Node("call", {"id": "C1", "from": SITI_PN, "t": "1"}, (offer,)))


def said_of_calls(house: World) -> list[dict[str, Any]]:
    """What the server received about them, in order."""
    return house.phones.events(kind="call")[0]


def test_where_that_is_wanted_a_call_is_acknowledged_and_declined(house: World) -> None:
    process = house.start(DECLINE_CALLS="true")
    house.pair(OWN)
    ring(house)
    eventually(lambda: len(said_of_calls(house)) == 2, "the phone rings on")
    ack, reject = said_of_calls(house)
    assert (ack["step"], ack["id"], ack["to"]) == ("ack", "C1", str(SITI_PN))
    assert (reject["step"], reject["call"], reject["to"]) == ("reject", "CALL1", str(SITI_PN))
    assert process.said("call declined", account="default")
    assert "call" in [node.tag for node in house.stanzas()]


def test_by_itself_it_acknowledges_a_call_and_lets_it_ring(house: World) -> None:
    process = house.start()
    house.pair(OWN)
    ring(house)
    eventually(lambda: said_of_calls(house), "it isn't acknowledged")
    # What it sends after the text's ack would have come after the refusal.
    texts_arrive(house, ["after the call"])
    eventually(lambda: house.phones.phone(OWN)["devices"][1]["queued"] == 0, "the text isn't acknowledged")
    assert [event["step"] for event in said_of_calls(house)] == ["ack"]
    assert not process.said("call declined")


def incompressible(size: int) -> str:
    return random.Random(size).randbytes(size // 2).hex()


def test_a_message_of_a_hundred_kilobytes_lies_in_the_queue_like_any_other(house: World) -> None:
    process = house.start()
    house.pair(OWN)
    texts_arrive(house, [incompressible(150_000), "and after it"])
    collected = Collected(house)
    eventually(lambda: collected.has(2), "lost")
    assert collected.ids == [entry["id"] for entry in house.phones.mailbox(SITI)["sent"]]
    assert not process.said("stanza too large for the queue")


def test_a_message_that_no_queue_holds_is_acknowledged_counted_and_named_and_the_next_one_comes(
    house: World,
) -> None:
    process = house.start()
    house.pair(OWN)
    texts_arrive(house, [incompressible(400_000), "and after it"])
    large, after = (entry["id"] for entry in house.phones.mailbox(SITI)["sent"])
    collected = Collected(house)
    eventually(lambda: collected.has(1), "the connector is deaf")
    assert collected.ids == [after]
    assert house.phones.wait_for_event("put-aside")["id"] == large
    [line] = [line for line in process.lines() if line.get("message") == "stanza too large for the queue"]
    assert line["tag"] == "message"
    assert line["size"] > 400_000
    assert not process.said("connection ended")
    assert process.terminate() == 0  # it says its figures once more when it goes
    assert sum(line.get("StanzasTooLarge", 0) for line in process.lines()) == 1


def test_a_list_of_thousands_of_devices_is_queued_whole(house: World) -> None:
    """Nobody has so many, and whoever claims to costs us no connection: such a list shrinks well."""
    process = house.start()
    house.pair(OWN)
    devices = tuple(
        Node("device", {"jid": JID(SITI, SITI_PN.server, number % 256), "key-index": str(number)})
        for number in range(20_000)
    )
    update = Node("update", {"hash": "2:abcdef"}, (Node("key-index-list", {"ts": "1"}, b"x"), *devices))
    house.say(Node("notification", {"from": SITI_PN, "type": "devices", "id": "N1", "t": "1"}, (update,)))
    [queued] = eventually(
        lambda: [node for node in house.stanzas() if node.attrs.get("type") == "devices"], "lost"
    )
    assert len(queued.require_child("update").children("device")) == 20_000
    assert not process.said("connection ended")
