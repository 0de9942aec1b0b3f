"""Quotes, edits and reactions on the deployed stack, switched on by its parameters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import Stage, eventually, new_ticket
from tocsin.notify.notification import State, notification_id
from tocsin_local.emulator import interpreter
from tocsin_local.world import world

pytestmark = pytest.mark.e2e

PARAMETERS = {"UpdatesAs": "edit", "QuoteFirstMessage": "true", "AcknowledgeReplies": "👍"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    with world("e2e-kinds", parameters=PARAMETERS) as built, built.connector():
        stage = Stage(built)
        stage.link()
        yield stage


def test_an_update_edits_the_message_and_the_end_of_the_ticket_quotes_it(stage: Stage) -> None:
    siti = stage.person("Siti", language="en")
    ticket = new_ticket()
    [created] = stage.put("TicketCreated", ticket, customer=siti)
    stage.until(created, State.READ)

    stage.put("TicketUpdated", {**ticket, "revision": 2, "status": "in_progress"}, customer=siti)
    edited = eventually(
        lambda: (shown := stage.shown(created)) and shown["edited"] and shown, "the message is not edited"
    )
    assert "In progress" in edited["text"]
    edit_id = notification_id("default", ticket["id"], "TicketUpdated", 2, "customer", siti.number, "edit")
    edit = eventually(
        lambda: (
            (found := stage.world.deployment.stores.notifications.get(edit_id))
            and found.state in (State.DELIVERED, State.READ)
            and found
        ),
        "the edit has no receipt",
    )
    assert edit.message_id != created.message_id

    [resolved] = stage.put("TicketResolved", {**ticket, "revision": 3, "status": "resolved"}, customer=siti)
    stage.until(resolved, State.READ)
    shown = stage.shown(resolved)
    assert shown is not None
    assert shown["quoted_id"] == created.message_id
    stage.nothing_is_lost(resolved)


def test_an_answer_gets_its_reaction_once(stage: Stage) -> None:
    siti = stage.known("Siti")
    sent = stage.phones.write(siti.number, "6281100000001", "thank you")

    def reaction() -> object:
        box = stage.phones.mailbox(siti.number)
        return next((one["reactions"] for one in box["sent"] if one["id"] == sent["id"]), None)

    assert eventually(reaction, "no reaction") == {"6281100000001": "👍"}
    box = stage.phones.mailbox(siti.number)
    assert [one["kind"] for one in box["messages"]].count("reaction") == 1


def test_stop_is_confirmed_in_words_and_gets_no_reaction(stage: Stage) -> None:
    siti = stage.known("Siti")
    sent = stage.phones.write(siti.number, "6281100000001", "BERHENTI")
    stage.phones.wait_until(
        lambda: any("tidak akan menerima" in str(one["text"]) for one in stage.phones.messages(siti.number)),
        "not confirmed",
    )
    box = stage.phones.mailbox(siti.number)
    assert [one["reactions"] for one in box["sent"] if one["id"] == sent["id"]] == [{}]
