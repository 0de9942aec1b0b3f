"""Baileys, unmodified from npm, is a customer's linked device and reads what ticket events bring about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing, reads
from tests.support.stack import DESK, Bus, Notice, Person, Stage
from tocsin.notify.notification import State

pytestmark = [
    pytest.mark.interop,
    pytest.mark.e2e,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]


@pytest.fixture
def siti(stage: Stage) -> Person:
    return stage.person("Siti")


@pytest.fixture
def baileys(stage: Stage, siti: Person, tmp_path: Path) -> Iterator[Baileys]:
    """Siti's phone has scanned the code that Baileys shows."""
    with Baileys.start(stage.world.whatsapp_url, tmp_path) as client:
        client.link(stage.phones, siti.number)
        yield client


@pytest.mark.cell("Tocsin", "1:1")
@pytest.mark.cell("Tocsin", "receipts")
def test_it_reads_a_notification_that_came_from_a_ticket_event(
    stage: Stage, siti: Person, baileys: Baileys
) -> None:
    notice = stage.tell(siti)
    shown = reads(baileys, notice)
    assert notice.ticket_id in shown
    assert stage.until(notice, State.READ).recoveries == {}
    assert shown == stage.phones.wait_until(lambda: stage.shown(notice), "the phone shows nothing")["text"]
    stage.nothing_is_lost(notice)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("corrupt-sessions", marks=pytest.mark.cell("Tocsin", "Bad MAC: it is asked")),
        "forget-sessions",
    ],
)
def test_its_broken_session_heals_through_its_retry_receipt(
    stage: Stage, siti: Person, baileys: Baileys, fault: str
) -> None:
    before = stage.tell(siti)
    reads(baileys, before)
    assert baileys.command(fault)["sessions"]

    broken = stage.tell(siti)
    assert broken.ticket_id in reads(baileys, broken)
    assert siti_device(stage, siti) in " ".join(stage.until(broken, State.READ).recoveries)

    after = stage.tell(siti)
    reads(baileys, after)
    assert siti_device(stage, siti) not in " ".join(stage.until(after, State.READ).recoveries)
    shown_once(baileys, before, broken, after)
    stage.nothing_is_lost(before, broken, after)


@pytest.mark.cell("Tocsin", "device added")
def test_linked_after_the_first_notification_it_reads_the_next(
    stage: Stage, siti: Person, tmp_path: Path
) -> None:
    first = stage.tell(siti)
    stage.until(first, State.READ)
    with Baileys.start(stage.world.whatsapp_url, tmp_path) as baileys:
        baileys.link(stage.phones, siti.number)
        second = stage.tell(siti)
        reads(baileys, second)
    stage.nothing_is_lost(first, second)


def test_what_came_while_it_was_away_it_reads_at_its_return_in_order(
    stage: Stage, siti: Person, baileys: Baileys
) -> None:
    reads(baileys, stage.tell(siti))
    baileys.command("disconnect")
    baileys.command("corrupt-sessions")
    notices = [stage.tell(siti) for _ in range(3)]
    stage.all_until(notices, State.READ)
    baileys.command("connect")
    for notice in notices:
        reads(baileys, notice)
    shown_once(baileys, *notices)
    stage.nothing_is_lost(*notices)


@pytest.mark.cell("Tocsin", "1:1")
def test_what_its_owner_answers_on_it_becomes_an_event(
    stage: Stage, siti: Person, baileys: Baileys, bus: Bus
) -> None:
    notice = stage.tell(siti)
    reads(baileys, notice)
    message_id = baileys.send(DESK, "Terima kasih, sudah jalan lagi")
    reply = bus.wait("ReplyReceived", message_id=message_id)
    assert reply["text"] == "Terima kasih, sudah jalan lagi"
    assert (reply["recipient"], reply["notification_id"]) == (siti.number, notice.id)
    # Not by Baileys' own status: it forgets the receipt of a message that it has not told of yet.
    stage.phones.wait_for_event("receipt", account=DESK, device=1, ids=[message_id])

    after = stage.tell(siti)
    reads(baileys, after)
    stage.nothing_is_lost(notice, after)


def shown_once(baileys: Baileys, *notices: Notice) -> None:
    for notice in notices:
        events = [event for event in baileys.events if event.get("id") == notice.message_id]
        assert sum(event.get("text") is not None for event in events) == 1, events


def siti_device(stage: Stage, siti: Person) -> str:
    """How a notification's recoveries name Siti's companion."""
    return str(stage.phones.phone(siti.number)["lid"]).replace("@", ":1@")
