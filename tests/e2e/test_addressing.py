"""On the deployed template: privacy tokens, read receipts, hosted devices, messages without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing, reads
from tests.support.stack import DESK, Bus, DeployedStack, Person, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e

baileys_is_here = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.fixture
def siti(deployed: DeployedStack) -> Person:
    return deployed.person("Siti")


@pytest.fixture
def baileys(deployed: DeployedStack, siti: Person, tmp_path: Path) -> Iterator[Baileys]:
    with Baileys.start(deployed.world.whatsapp_url, tmp_path) as client:
        client.link(deployed.phones, siti.number)
        yield client


def token_shown(deployed: DeployedStack, message_id: str) -> str:
    """Which privacy token a message showed to the server."""
    event = deployed.phones.wait_for_event("message", id=message_id)
    return str(event["token"])


def token_kept(deployed: DeployedStack, person: Person) -> bytes:
    """The privacy token that somebody issued to us, once we have it."""
    lid = deployed.phones.phone(person.number)["lid"]
    keys = deployed.world.deployment.key_store("default")
    own = (keys.account.profile().lid or "").replace(":", "@").split("@")[0] + "@lid"
    return eventually(lambda: keys.contacts.trust(own, lid).token, "no token was kept")


def test_who_wrote_first_is_answered_with_the_token_that_came_with_it(
    deployed: DeployedStack, bus: Bus, siti: Person
) -> None:
    message = deployed.phones.write(siti.number, DESK, "Halo")
    bus.wait("ReplyReceived", message_id=message["id"])
    token_kept(deployed, siti)
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    assert token_shown(deployed, notice.message_id) == "token"


def test_ours_is_issued_to_whom_we_write(deployed: DeployedStack, siti: Person) -> None:
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    deployed.phones.wait_for_event("trust", account=DESK, to=siti.number)


@pytest.mark.interop
@baileys_is_here
def test_baileys_shows_the_token_that_we_issued_and_we_the_one_that_it_issued(
    deployed: DeployedStack, bus: Bus, siti: Person, baileys: Baileys
) -> None:
    """Neither was written to please the other: the server compares what is shown with what was issued."""
    first = deployed.tell(siti)
    reads(baileys, first)
    deployed.phones.wait_for_event("trust", account=DESK, to=siti.number)
    written = baileys.send(DESK, "Terima kasih")
    bus.wait("ReplyReceived", message_id=written)
    assert token_shown(deployed, written) == "token"
    deployed.phones.wait_for_event("trust", account=siti.number, to=DESK)
    token_kept(deployed, siti)
    second = deployed.tell(siti)
    reads(baileys, second)
    assert token_shown(deployed, second.message_id) == "token"


@pytest.mark.interop
@baileys_is_here
def test_baileys_is_told_that_its_message_was_read(
    deployed: DeployedStack, bus: Bus, siti: Person, baileys: Baileys
) -> None:
    reads(baileys, deployed.tell(siti))
    written = baileys.send(DESK, "Sudah dibaca?")
    bus.wait("ReplyReceived", message_id=written)
    deployed.phones.wait_for_event("receipt", account=DESK, ids=[written], type="read")
    baileys.wait("status", id=written, status="read")


def test_a_hosted_device_of_a_business_reads_what_the_phone_reads(
    deployed: DeployedStack, siti: Person
) -> None:
    number = deployed.phones.add_companion(siti.number, hosted=True)
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    shown = deployed.phones.wait_until(
        lambda: deployed.phones.mailbox(siti.number, companion=number)["messages"], "it shows nothing"
    )
    assert shown[0]["id"] == notice.message_id
    deployed.nothing_is_lost(notice)


def test_a_reply_without_a_copy_for_us_comes_by_our_own_phone(
    deployed: DeployedStack, bus: Bus, siti: Person
) -> None:
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    deployed.phones.inject("unavailable", account=DESK, device=1)
    message = deployed.phones.write(siti.number, DESK, "Ini penting")
    # That somebody wrote may have been told before.
    reply = bus.wait("ReplyReceived", message_id=message["id"], kind="text")
    assert (reply["text"], reply["recipient"]) == ("Ini penting", siti.number)
    deployed.nothing_is_lost(notice)
