"""The storm's own judgement: what it saw, what it calls lost, and the picture it draws."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.faults.plot import svg
from tests.faults.storm import Plan
from tests.faults.storm_report import Report, explained
from tests.faults.witness import Witness
from tests.support.stack import DESK, Notice, Person

SITI = Person("628120000001", "Siti", "id")
NOTICE = Notice("00" * 9, SITI, "TCK-1")


class Phones:
    """A control API that tells what a test puts into `happened`."""

    def __init__(self) -> None:
        self.happened: list[dict[str, Any]] = []

    def events(self, after: int = 0, **_: Any) -> tuple[list[dict[str, Any]], int]:
        return self.happened[after:], len(self.happened)

    def add(self, kind: str, device: int, at: float, phone: str = SITI.number) -> None:
        event = {"kind": kind, "id": NOTICE.message_id, "phone": phone, "device": device, "at": at}
        self.happened.append(event)


@pytest.fixture
def phones() -> Phones:
    return Phones()


@pytest.fixture
def witness(phones: Phones) -> Witness:
    witness = Witness(phones)  # type: ignore[arg-type]
    witness.begin()
    witness.expect([NOTICE], {SITI.number: (0, 1)})
    return witness


def test_a_message_is_on_its_way_until_all_devices_show_it(phones: Phones, witness: Witness) -> None:
    phones.add("phone-message", 0, 1.0)
    assert witness.look() == 1
    phones.add("phone-message", 1, 2.0)
    assert witness.look() == 0


def test_the_copy_on_the_accounts_own_phone_counts_for_nobody(phones: Phones, witness: Witness) -> None:
    phones.add("phone-message", 0, 1.0, phone=DESK)
    assert witness.look() == 1
    assert witness.arrived_count == 0


def test_a_copy_that_was_asked_for_again_and_shown_is_healed(phones: Phones, witness: Witness) -> None:
    phones.add("phone-retry", 1, 10.0)
    phones.add("phone-retry", 1, 11.0)
    phones.add("phone-message", 0, 11.5)
    phones.add("phone-message", 1, 12.0)
    witness.look()
    assert witness.recovered_count == 1
    assert witness.seconds_to_heal() == {"p50": 2.0, "p99": 2.0, "max": 2.0}


def test_the_slowest_to_heal_come_first(phones: Phones, witness: Witness) -> None:
    for device, took in ((0, 2.0), (1, 9.0), (2, 4.0)):
        phones.add("phone-retry", device, 10.0)
        phones.add("phone-message", device, 10.0 + took)
    witness.expect([NOTICE], {SITI.number: (0, 1, 2)})
    witness.look()
    assert [seconds for _, _, seconds in witness.slowest_to_heal(2)] == [9.0, 4.0]


@pytest.mark.parametrize(
    ("found", "good"),
    [
        ({}, True),
        ({"lost": [{}]}, False),
        ({"doubled": [{}]}, False),
        ({"keys_used_twice": 1}, False),
        ({"prekeys_handed_out_twice": 1}, False),
        ({"dead_stanzas": 1}, False),
        ({"dead_letters": [{"explained": False}]}, False),
        ({"dead_letters": [{"explained": True}]}, True),
    ],
)
def test_whatever_is_lost_doubled_or_unexplained_makes_it_fail(found: dict[str, Any], good: bool) -> None:
    account = report(**found)
    assert account.good is good
    assert account.line().startswith("faults: 1 notifications, 2 copies")
    assert account.line() in account.text()


def test_a_letter_about_nothing_stored_is_not_explained() -> None:
    from tocsin.notify.letters import Letter

    letter = Letter(
        "n", "default", SITI.number, "customer", "expired", "permanent", "", "-", ({"cause": "x"},)
    )
    assert explained(letter, None)["explained"] is False


def test_the_picture_is_a_picture_even_of_nothing(phones: Phones, witness: Witness) -> None:
    for seen in (Witness(phones), witness):  # type: ignore[arg-type]
        drawn = ElementTree.fromstring(svg(seen, [(1.0, "connector"), (2.0, "send")], "a <title> & more"))  # noqa: S314
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"


def report(**found: Any) -> Report:
    values: dict[str, Any] = {
        "plan": Plan(1, 1, 0, 1),
        "seconds": 1.0,
        "sent_per_second": 1.0,
        "devices": 2,
        "copies": 2,
        "faults": {},
        "kills": {},
        "healed": 0,
        "seconds_to_heal": {},
        "slowest": [],
        "states": {"read": 1},
        "lost": [],
        "doubled": [],
        "unconfirmed": [],
        "keys_used_twice": 0,
        "prekeys_handed_out_twice": 0,
        "ciphertexts": 2,
        "identical_resends": 0,
        "dead_letters": [],
        "dead_stanzas": 0,
        "dead_elsewhere": {},
    }
    return Report(**(values | found))
