"""Quotes, edits and reactions on the deployed stack, switched on by its settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import DeployedStack, eventually, new_ticket
from tocsin.notify.notification import State, derived_id
from tocsin.notify.threads import EDIT
from tocsin_local.emulator import interpreter
from tocsin_local.world import world

pytestmark = pytest.mark.e2e

SETTINGS = {"updates-as": "edit", "quote-first-message": "true", "acknowledge-replies": "👍"}


@pytest.fixture(scope="module")
def deployed() -> Iterator[DeployedStack]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    with world("e2e-kinds", settings=SETTINGS) as built, built.connector():
        deployed = DeployedStack(built)
        deployed.link()
        yield deployed


def test_an_update_edits_the_message_and_the_end_of_the_ticket_quotes_it(deployed: DeployedStack) -> None:
    siti = deployed.person("Siti", language="en")
    ticket = new_ticket()
    [created] = deployed.put("TicketCreated", ticket, customer=siti)
    deployed.until(created, State.READ)

    deployed.put("TicketUpdated", {**ticket, "revision": 2, "status": "in_progress"}, customer=siti)
    edited = eventually(
        lambda: (shown := deployed.shown(created)) and shown["edited"] and shown, "the message is not edited"
    )
    assert "In progress" in edited["text"]
    ids = deployed.world.deployment.stores.ids
    text_id = ids.of("default", ticket["id"], "TicketUpdated", 2, "customer", siti.number)
    edit_id = derived_id(text_id, EDIT)
    edit = eventually(
        lambda: (
            (found := deployed.world.deployment.stores.notifications.get(edit_id))
            and found.state in (State.DELIVERED, State.READ)
            and found
        ),
        "the edit has no receipt",
    )
    assert edit.message_id != created.message_id

    [resolved] = deployed.put(
        "TicketResolved", {**ticket, "revision": 3, "status": "resolved"}, customer=siti
    )
    deployed.until(resolved, State.READ)
    shown = deployed.shown(resolved)
    assert shown is not None
    assert shown["quoted_id"] == created.message_id
    deployed.nothing_is_lost(resolved)


def test_an_answer_gets_its_reaction_once(deployed: DeployedStack) -> None:
    siti = deployed.known("Siti")
    sent = deployed.phones.write(siti.number, "6281100000001", "thank you")

    def reaction() -> object:
        box = deployed.phones.mailbox(siti.number)
        return next((one["reactions"] for one in box["sent"] if one["id"] == sent["id"]), None)

    assert eventually(reaction, "no reaction") == {"6281100000001": "👍"}
    box = deployed.phones.mailbox(siti.number)
    assert [one["kind"] for one in box["messages"]].count("reaction") == 1


def test_stop_is_confirmed_in_words_and_gets_no_reaction(deployed: DeployedStack) -> None:
    siti = deployed.known("Siti")
    sent = deployed.phones.write(siti.number, "6281100000001", "BERHENTI")
    deployed.phones.wait_until(
        lambda: any(
            "tidak akan menerima" in str(one["text"]) for one in deployed.phones.messages(siti.number)
        ),
        "not confirmed",
    )
    box = deployed.phones.mailbox(siti.number)
    assert [one["reactions"] for one in box["sent"] if one["id"] == sent["id"]] == [{}]
