"""Nobody makes us ask without end: what we can't read of one sender costs so many questions in an hour."""

from __future__ import annotations

import logging

import pytest

from tests.support.fake_whatsapp import Device, Person, message_from
from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import our_bundle
from tocsin.multidevice.inbound import dispatch
from tocsin.multidevice.question_budget import QUESTIONS_PER_HOUR, QuestionBudget
from tocsin.notify.failure import Wait
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.bundles import parse_bundle

LIMIT = QUESTIONS_PER_HOUR
HOUR = 3600


@pytest.fixture
def told() -> WiredFunctions:
    """Siti has had one notification, so there are sessions both ways."""
    wired = WiredFunctions(MemoryAccount().furnish())
    wired.tell(1)
    return wired


@pytest.fixture
def spent(told: WiredFunctions) -> PreKeyBundle:
    """Keys of ours whose prekey Siti has used up: who writes with them is asked with fresh ones at once."""
    bundle = our_bundle(told)
    told.siti.devices[0].begin(bundle)
    told.reply("Halo", "first")
    told.network.written.clear()
    return bundle


@pytest.fixture
def stranger(told: WiredFunctions, spent: PreKeyBundle) -> Person:
    return somebody(told, spent, "6285555555555", "5555")


def somebody(told: WiredFunctions, spent: PreKeyBundle, phone: str, lid: str) -> Person:
    """Somebody with two devices, none of whose messages we can read."""
    person = told.network.person(phone, lid, devices=2)
    for device in person.devices.values():
        device.begin(spent)
    return person


def flood(
    told: WiredFunctions, stranger: Person, messages: int, name: str = "S", device: Device | None = None
) -> list[str]:
    """The outcomes of so many messages that can't be read."""
    device = device or stranger.devices[0]
    return [
        told.receive(message_from(device, stranger, f"{name}{number}", "Halo")).outcome
        for number in range(messages)
    ]


def prekeys(told: WiredFunctions) -> int:
    return sum(item["pk"].startswith("prekey#") for item in everything_in(told.aws.keys_table))


def test_sixty_unreadable_messages_of_a_stranger_cost_the_hour_s_questions_and_nothing_more(
    told: WiredFunctions, stranger: Person
) -> None:
    before = prekeys(told)
    outcomes = flood(told, stranger, 60)
    assert outcomes == ["asked-again"] * LIMIT + ["over-budget"] * (60 - LIMIT)
    assert [node.attrs["type"] for node in told.network.written] == ["retry"] * LIMIT
    assert prekeys(told) - before == LIMIT


def test_beyond_the_budget_a_message_leaves_nothing_in_the_tables(
    told: WiredFunctions, stranger: Person
) -> None:
    flood(told, stranger, LIMIT + 1)
    tables = told.aws.keys_table, told.aws.notifications_table
    before = [len(everything_in(table)) for table in tables]
    assert set(flood(told, stranger, 10, "T")) == {"over-budget"}
    assert [len(everything_in(table)) for table in tables] == before


def test_it_is_said_once(told: WiredFunctions, stranger: Person, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tocsin.multidevice.question_budget"):
        flood(told, stranger, LIMIT + 5)
    said = [record for record in caplog.records if record.name.endswith("question_budget")]
    assert [record.getMessage() for record in said] == ["too many unreadable messages of a sender"]
    assert stranger.phone not in str(vars(said[0]))


def test_another_sender_is_asked_all_the_same(
    told: WiredFunctions, stranger: Person, spent: PreKeyBundle
) -> None:
    flood(told, stranger, LIMIT + 1)
    assert flood(told, somebody(told, spent, "6287777777777", "7777"), 1) == ["asked-again"]


def test_all_devices_of_a_sender_share_one_budget(told: WiredFunctions, stranger: Person) -> None:
    flood(told, stranger, LIMIT)
    tablet = list(stranger.devices.values())[1]
    assert flood(told, stranger, 1, "T", tablet) == ["over-budget"]


def test_the_next_hour_has_questions_of_its_own(told: WiredFunctions, stranger: Person) -> None:
    flood(told, stranger, LIMIT + 1)
    told.paired.now += HOUR
    assert flood(told, stranger, 1, "T") == ["asked-again"]


def test_what_can_be_read_is_read_whatever_was_asked_before(told: WiredFunctions, stranger: Person) -> None:
    flood(told, stranger, LIMIT + 1)
    question = next(node for node in told.network.written if node.child("keys"))
    stranger.devices[0].begin(parse_bundle(question.require_child("keys"), question))
    assert told.receive(message_from(stranger.devices[0], stranger, "S0", "Halo", count=2)).outcome == "reply"
    told.tell(2)
    assert texts(told.siti.devices[0])[-1] == "Tiket 2"


def test_nothing_is_charged_while_nobody_can_ask(told: WiredFunctions, stranger: Person) -> None:
    told.paired.lease.state = "connecting"
    told.restart()
    told.paired.leases.forget("default")
    for _ in range(LIMIT + 5):
        with pytest.raises(Wait):
            told.receive(message_from(stranger.devices[0], stranger, "S", "Halo"))
    told.paired.lease.state = "connected"
    assert flood(told, stranger, 1) == ["asked-again"]


def test_twin_without_a_budget_asks_sixty_times(
    told: WiredFunctions, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(QuestionBudget):
        def is_spent(self, account: str, user: str) -> bool:
            return False

    monkeypatch.setattr(dispatch, "QuestionBudget", Endless)
    told.restart()
    before = prekeys(told)
    assert flood(told, stranger, 60) == ["asked-again"] * 60
    assert prekeys(told) - before == 60
