"""Baileys, unmodified from npm, is a customer's linked device and reads what ticket events bring about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing, reads
from tests.support.stack import DESK, Bus, DeployedStack, Notice, Person
from tocsin.notify.notification import State

pytestmark = [
    pytest.mark.interop,
    pytest.mark.e2e,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]


@pytest.fixture
def siti(deployed: DeployedStack) -> Person:
    return deployed.person("Siti")


@pytest.fixture
def baileys(deployed: DeployedStack, siti: Person, tmp_path: Path) -> Iterator[Baileys]:
    """Siti's phone has scanned the code that Baileys shows."""
    with Baileys.start(deployed.world.whatsapp_url, tmp_path) as client:
        client.link(deployed.phones, siti.number)
        yield client


@pytest.mark.cell("Tocsin", "1:1")
@pytest.mark.cell("Tocsin", "receipts")
def test_it_reads_a_notification_that_came_from_a_ticket_event(
    deployed: DeployedStack, siti: Person, baileys: Baileys
) -> None:
    notice = deployed.tell(siti)
    shown = reads(baileys, notice)
    assert notice.ticket_id in shown
    assert deployed.until(notice, State.READ).recoveries == {}
    assert (
        shown == deployed.phones.wait_until(lambda: deployed.shown(notice), "the phone shows nothing")["text"]
    )
    deployed.nothing_is_lost(notice)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("corrupt-sessions", marks=pytest.mark.cell("Tocsin", "Bad MAC: it is asked")),
        "forget-sessions",
    ],
)
def test_its_broken_session_heals_through_its_retry_receipt(
    deployed: DeployedStack, siti: Person, baileys: Baileys, fault: str
) -> None:
    before = deployed.tell(siti)
    reads(baileys, before)
    assert baileys.command(fault)["sessions"]

    broken = deployed.tell(siti)
    assert broken.ticket_id in reads(baileys, broken)
    assert siti_device(deployed, siti) in " ".join(deployed.until(broken, State.READ).recoveries)

    after = deployed.tell(siti)
    reads(baileys, after)
    assert siti_device(deployed, siti) not in " ".join(deployed.until(after, State.READ).recoveries)
    shown_once(baileys, before, broken, after)
    deployed.nothing_is_lost(before, broken, after)


@pytest.mark.cell("Tocsin", "device added")
def test_linked_after_the_first_notification_it_reads_the_next(
    deployed: DeployedStack, siti: Person, tmp_path: Path
) -> None:
    first = deployed.tell(siti)
    deployed.until(first, State.READ)
    with Baileys.start(deployed.world.whatsapp_url, tmp_path) as baileys:
        baileys.link(deployed.phones, siti.number)
        second = deployed.tell(siti)
        reads(baileys, second)
    deployed.nothing_is_lost(first, second)


def test_what_came_while_it_was_away_it_reads_at_its_return_in_order(
    deployed: DeployedStack, siti: Person, baileys: Baileys
) -> None:
    reads(baileys, deployed.tell(siti))
    baileys.command("disconnect")
    baileys.command("corrupt-sessions")
    notices = [deployed.tell(siti) for _ in range(3)]
    deployed.all_until(notices, State.READ)
    baileys.command("connect")
    for notice in notices:
        reads(baileys, notice)
    shown_once(baileys, *notices)
    deployed.nothing_is_lost(*notices)


@pytest.mark.cell("Tocsin", "1:1")
def test_what_its_owner_answers_on_it_becomes_an_event(
    deployed: DeployedStack, siti: Person, baileys: Baileys, bus: Bus
) -> None:
    notice = deployed.tell(siti)
    reads(baileys, notice)
    # An owner takes longer to answer than this emulator to record that it was read.
    deployed.until(notice, State.DELIVERED)
    message_id = baileys.send(DESK, "Terima kasih, sudah jalan lagi")
    reply = bus.wait("ReplyReceived", message_id=message_id)
    assert reply["text"] == "Terima kasih, sudah jalan lagi"
    assert (reply["recipient"], reply["notification_id"]) == (siti.number, notice.id)
    # Not by Baileys' own status: it forgets the receipt of a message that it has not told of yet.
    deployed.phones.wait_for_event("receipt", account=DESK, device=1, ids=[message_id])

    after = deployed.tell(siti)
    reads(baileys, after)
    deployed.nothing_is_lost(notice, after)


@pytest.mark.cell("Tocsin", "1:1")
def test_a_place_and_a_change_of_mind_become_events(
    deployed: DeployedStack, siti: Person, baileys: Baileys, bus: Bus
) -> None:
    reads(baileys, deployed.tell(siti))
    place = {"location": {"degreesLatitude": -6.2, "degreesLongitude": 106.816667}}
    sent = baileys.command("send-content", to=DESK, content=place)["id"]
    located = bus.wait("ReplyReceived", message_id=sent)
    assert (located["kind"], located["latitude"], located["longitude"]) == (
        "location",
        "-6.200000",
        "106.816667",
    )
    written = baileys.send(DESK, "tomorrow")
    bus.wait("ReplyReceived", message_id=written)
    key = {"remoteJid": f"{DESK}@s.whatsapp.net", "fromMe": True, "id": written}
    edit = baileys.command("send-content", to=DESK, content={"text": "STOP", "edit": key})["id"]
    edited = bus.wait("ReplyReceived", message_id=edit)
    assert (edited["kind"], edited["about_message_id"], edited["consent"]) == ("edit", written, "withdrawn")


def shown_once(baileys: Baileys, *notices: Notice) -> None:
    for notice in notices:
        events = [event for event in baileys.events if event.get("id") == notice.message_id]
        assert sum(event.get("text") is not None for event in events) == 1, events


def siti_device(deployed: DeployedStack, siti: Person) -> str:
    """How a notification's recoveries name Siti's companion."""
    return str(deployed.phones.phone(siti.number)["lid"]).replace("@", ":1@")
