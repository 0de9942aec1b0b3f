"""Messages without a ticket, and outcomes told to a webhook, on the deployed stack."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.contracts import validator_of
from tests.support.fake_deployment import Said
from tests.support.listener import Listener, listening
from tests.support.stack import Bus, DeployedStack, Notice, Person, eventually
from tocsin.notify.content import ERASED, Withheld
from tocsin.notify.notification import State, request_name
from tocsin_console import hooks
from tocsin_console.explain import explain
from tocsin_console.send import put_event
from tocsin_local.world import World

pytestmark = pytest.mark.e2e

PDF = b"%PDF-1.7\na plan"


def asked_for(deployed: DeployedStack, person: Person, text: str, **more: Any) -> list[Notice]:
    """What a request for a message to one person brings about: its text, then its files."""
    key = f"k-{time.time_ns()}"
    detail = {"version": "1", "source": "e2e", "key": key, "recipients": [{"phone": f"+{person.number}"}]}
    put_event(deployed.world.deployment, "MessageRequested", {**detail, "text": text, **more})
    name = request_name("e2e", key)
    wanted = 1 + len(more.get("files", ()))
    stores = deployed.world.deployment.stores

    def planned() -> list[str] | None:
        found = stores.notifications.of_ticket(name)
        return found if len(found) == wanted else None

    found = [stores.notifications.get(one) for one in eventually(planned, "the request isn't planned")]
    in_order = sorted((one for one in found if one), key=lambda one: one.created_at)
    return [Notice(one.id, person, name) for one in in_order]


@pytest.fixture(scope="module")
def listener(running_world: World) -> Iterator[Listener]:
    """A webhook that hears of everything, from half a minute after it was added."""
    deployed = DeployedStack(running_world)
    # As the command line finds it: a stack on one machine may tell that machine.
    deployment = replace(deployed.world.deployment, parameters={"Timing": "trial"})
    told = Said(as_json=True)
    with listening() as somebody:
        hooks.add(
            deployment, f"{somebody.url}/hook", events=(), accounts=(), form="standard", output=told.output
        )
        made = told.records[-1]
        somebody.secret = made["secret"]
        hooks.ping(deployment, made["hook"], wait=30, output=told.output)
        siti = deployed.person("Siti")

        def is_told() -> bool:
            deployed.until(deployed.tell(siti), State.READ)
            return any(one["type"] == "notification.read" for one in somebody.heard)

        eventually(is_told, "the hook hears of nothing", seconds=90)
        yield somebody
        hooks.remove(deployment, made["hook"], yes=True, output=told.output)
    assert somebody.refused == []


def test_a_message_arrives_with_a_file_that_came_along(deployed: DeployedStack, bus: Bus) -> None:
    siti = deployed.person("Siti")
    content = base64.b64encode(PDF).decode()
    files = [{"name": "plan.pdf", "content": content}]
    text, file = asked_for(deployed, siti, "*Invoice 7* is due", files=files)
    deployed.all_until([text, file], State.READ)
    deployed.shown_in_order(siti, [text, file])
    shown = deployed.shown(text)
    assert shown is not None
    assert shown["text"] == "*Invoice 7* is due"
    assert deployed.phones.file(siti.number, file.message_id) == PDF
    told = bus.wait("NotificationRead", notification_id=text.id)
    assert (told["ticket_id"], told["request_source"], told["version"]) == (None, "e2e", "1")


def test_a_sensitive_message_arrives_and_its_words_are_gone_and_never_shown(deployed: DeployedStack) -> None:
    siti, said = deployed.person("Siti"), Said()
    [notice] = asked_for(deployed, siti, "Your code is 481-516", sensitive=True)
    found = deployed.until(notice, State.DELIVERED)
    shown = deployed.shown(notice)
    assert shown is not None
    assert shown["text"] == "Your code is 481-516"
    assert found.content == Withheld(ERASED)
    explain(deployed.world.deployment, notice.id, output=said.output, text=True)
    assert "481-516" not in said.text
    for function in ("plan_notifications", "send_notification", "record_receipts", "publish_outcomes"):
        assert "481-516" not in deployed.stack.function_logs(function)


def test_outcomes_are_told_to_a_webhook_that_verifies_them(
    deployed: DeployedStack, listener: Listener
) -> None:
    siti = deployed.person("Siti")
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)

    def heard() -> list[str] | None:
        types = [one["type"] for one in listener.heard if one["data"].get("notification_id") == notice.id]
        return types if "notification.read" in types else None

    types = eventually(heard, lambda: f"heard: {listener.heard}, refused: {listener.refused}")
    assert types[0] == "notification.sent"
    assert types[-1] == "notification.read"


def test_what_a_webhook_does_not_take_at_once_it_is_told_again_in_order(
    deployed: DeployedStack, listener: Listener
) -> None:
    siti = deployed.person("Siti")
    listener.statuses += [500]
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)

    def heard() -> list[str] | None:
        types = [one["type"] for one in listener.heard if one["data"].get("notification_id") == notice.id]
        return types if "notification.read" in types else None

    types = eventually(heard, lambda: f"heard: {listener.heard}", seconds=60)
    order = ["notification.sent", "notification.delivered", "notification.read"]
    assert types == [one for one in order if one in types]


def test_what_was_told_on_the_bus_fits_its_contract(deployed: DeployedStack, bus: Bus) -> None:
    siti = deployed.person("Siti")
    notice = deployed.tell(siti)
    bus.wait("NotificationRead", notification_id=notice.id)
    seen = bus.heard
    assert seen
    for event in seen:
        validator_of(event["detail-type"]).validate(event["detail"])
