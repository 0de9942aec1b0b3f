"""What a running connector holds back: all while sending is paused, and the same budget after a restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.connector_processes import OWN, SITI, Process, RunningConnectors, eventually
from tocsin.connector.process import SETTINGS_SECONDS
from tocsin.connector_client.errors import Restricted
from tocsin.keys.account import AccountProfile
from tocsin.tables.keys import pace_key
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

pytestmark = pytest.mark.integration


def held_for(connectors: RunningConnectors, profile: AccountProfile, number: int) -> str | None:
    """Hand over a message to Siti; return what holds it back, None if it went."""
    lid = JID.parse(connectors.phones.phone(SITI)["lid"])
    enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + number.to_bytes(60, "big"))
    to = Node("participants", {}, (Node("to", {"jid": lid}, (enc,)),))
    node = Node("message", {"id": f"3EB0{number:012X}", "to": lid, "type": "text"}, (to,))
    try:
        connectors.client().send_message(profile, node)
    except Restricted as refused:
        return refused.limit
    return None


def test_settings_are_read_often_enough_for_a_pause_to_hold_within_a_second() -> None:
    assert SETTINGS_SECONDS < 0.8


def test_a_connector_that_runs_heeds_a_pause_and_its_end(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    assert held_for(connectors, profile, 1) is None
    connectors.set("sending", "paused")
    numbers = iter(range(2, 10_000))
    eventually(lambda: held_for(connectors, profile, next(numbers)) == "paused", "the pause")
    connectors.set("sending", "on")
    eventually(lambda: held_for(connectors, profile, next(numbers)) is None, "its end")


@pytest.mark.parametrize("end", [Process.terminate, Process.kill], ids=["terminated", "killed"])
def test_the_next_process_goes_on_with_the_budget_of_the_hour(
    connectors: RunningConnectors, end: Callable[[Process], object]
) -> None:
    connectors.set("messages-per-hour", 6)  # of a number that is new, half, and a tenth is for the urgent
    process = connectors.start()
    profile = connectors.pair(OWN)
    assert [held_for(connectors, profile, number) for number in (1, 2, 3)] == [None, None, "account-pace"]
    eventually(lambda: stored(connectors) == 2, "the counts")
    end(process)
    connectors.start().wait_until_said("lease taken")
    connectors.wait_for_state("connected")
    assert held_for(connectors, profile, 4) == "account-pace"


def stored(connectors: RunningConnectors) -> int:
    """Messages of the hour, by the counts that the next process finds."""
    item = connectors.table.get(pace_key("default")) or {}
    return sum(item.get("hour", {}).values())
