"""On the deployed template: privacy tokens, read receipts, hosted devices, messages without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.baileys_client import Baileys, missing, reads
from tests.support.stack import DESK, Bus, Person, Stage, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.e2e

baileys_is_here = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.fixture
def siti(stage: Stage) -> Person:
    return stage.person("Siti")


@pytest.fixture
def baileys(stage: Stage, siti: Person, tmp_path: Path) -> Iterator[Baileys]:
    with Baileys.start(stage.world.whatsapp_url, tmp_path) as client:
        client.link(stage.phones, siti.number)
        yield client


def token_shown(stage: Stage, message_id: str) -> str:
    """Which privacy token a message showed to the server."""
    event = stage.phones.wait_for_event("message", id=message_id)
    return str(event["token"])


def test_who_wrote_first_is_answered_with_the_token_that_came_with_it(
    stage: Stage, bus: Bus, siti: Person
) -> None:
    message = stage.phones.write(siti.number, DESK, "Halo")
    bus.wait("ReplyReceived", message_id=message["id"])
    lid = stage.phones.phone(siti.number)["lid"]
    keys = stage.world.deployment.key_store("default")
    own = keys.account.profile().lid or ""
    own = own.replace(":", "@").split("@")[0] + "@lid"
    eventually(lambda: keys.contacts.trust(own, lid).token, "no token was kept")
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    assert token_shown(stage, notice.message_id) == "token"


def test_ours_is_issued_to_whom_we_write(stage: Stage, siti: Person) -> None:
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    stage.phones.wait_for_event("trust", account=DESK, to=siti.number)


@pytest.mark.interop
@baileys_is_here
def test_baileys_shows_the_token_that_we_issued_and_we_the_one_that_it_issued(
    stage: Stage, bus: Bus, siti: Person, baileys: Baileys
) -> None:
    """Neither was written to please the other: the server compares what is shown with what was issued."""
    first = stage.tell(siti)
    reads(baileys, first)
    stage.phones.wait_for_event("trust", account=DESK, to=siti.number)
    written = baileys.send(DESK, "Terima kasih")
    bus.wait("ReplyReceived", message_id=written)
    assert token_shown(stage, written) == "token"
    stage.phones.wait_for_event("trust", account=siti.number, to=DESK)
    second = stage.tell(siti)
    reads(baileys, second)
    assert token_shown(stage, second.message_id) == "token"


@pytest.mark.interop
@baileys_is_here
def test_baileys_is_told_that_its_message_was_read(
    stage: Stage, bus: Bus, siti: Person, baileys: Baileys
) -> None:
    reads(baileys, stage.tell(siti))
    written = baileys.send(DESK, "Sudah dibaca?")
    bus.wait("ReplyReceived", message_id=written)
    stage.phones.wait_for_event("receipt", account=DESK, ids=[written], type="read")
    baileys.wait("status", id=written, status="read")


def test_a_hosted_device_of_a_business_reads_what_the_phone_reads(stage: Stage, siti: Person) -> None:
    number = stage.phones.add_companion(siti.number, hosted=True)
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    shown = stage.phones.wait_until(
        lambda: stage.phones.mailbox(siti.number, companion=number)["messages"], "it shows nothing"
    )
    assert shown[0]["id"] == notice.message_id
    stage.nothing_is_lost(notice)


def test_a_reply_without_a_copy_for_us_comes_by_our_own_phone(stage: Stage, bus: Bus, siti: Person) -> None:
    notice = stage.tell(siti)
    stage.until(notice, State.READ)
    stage.phones.inject("unavailable", account=DESK, device=1)
    message = stage.phones.write(siti.number, DESK, "Ini penting")
    reply = bus.wait("ReplyReceived", message_id=message["id"])
    assert (reply["text"], reply["recipient"]) == ("Ini penting", siti.number)
    stage.nothing_is_lost(notice)
