"""Several accounts on one deployed stack: one is added while it runs, and each event chooses who writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import DESK, Bus, DeployedStack
from tocsin.notify.notification import State
from tocsin_console import accounts, pair
from tocsin_console.output import Output
from tocsin_console.unpair import unpair
from tocsin_local.world import World

pytestmark = pytest.mark.e2e

BILLING = "6281100000002"


@pytest.fixture(scope="module")
def billing(running_world: World) -> Iterator[str]:
    """An account that the template's parameter doesn't name; gone afterwards, for others share the stack."""
    deployment, name, output = running_world.deployment, "billing", Output(as_json=True)
    accounts.add(deployment, name, output)
    running_world.phones.add_phone(BILLING, "Billing")
    for code in pair.codes(deployment, name, wait_seconds=60):
        assert isinstance(code, pair.Code), code.text
        running_world.phones.link(BILLING, code.text)
    yield name
    unpair(deployment, name, wait_seconds=60, output=output, yes=True)
    accounts.remove(deployment, name, output, yes=True)


def test_each_event_is_told_by_the_account_that_it_names(deployed: DeployedStack, billing: str) -> None:
    siti = deployed.person()
    fault, bill = deployed.tell(siti), deployed.tell(siti, account=billing)
    deployed.all_until([fault, bill], State.READ)
    writers = {message["id"]: message["sender"] for message in deployed.phones.messages(siti.number)}
    assert writers == {fault.message_id: DESK, bill.message_id: BILLING}


def test_an_answer_is_about_what_the_account_told_that_it_was_written_to(
    deployed: DeployedStack, bus: Bus, billing: str
) -> None:
    siti = deployed.person()
    for notice in (fault := deployed.tell(siti), bill := deployed.tell(siti, account=billing)):
        deployed.until(notice, State.READ)
    for number, account, about in ((DESK, "default", fault), (BILLING, billing, bill)):
        answer = deployed.phones.write(siti.number, number, "Terima kasih")
        reply = bus.wait("ReplyReceived", message_id=answer["id"])
        assert (reply["account"], reply["notification_id"]) == (account, about.id)
