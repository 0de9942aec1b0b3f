"""A number is looked for under each spelling that WhatsApp may know, in one question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.notify.notification import Notification


@pytest.fixture
def wired() -> WiredFunctions:
    return WiredFunctions(MemoryAccount().furnish())


def planned(wired: WiredFunctions, recipient: str) -> Notification:
    notification = replace(wired.plan(1), id="a" * 18, recipient=recipient)
    wired.stores.notifications.put_new(notification)
    return notification


def contacts(wired: WiredFunctions) -> list[str]:
    return [query.removeprefix("contact +") for query in wired.network.queries if query.startswith("contact")]


@pytest.mark.parametrize(
    ("written", "registered"),
    [
        ("525512345678", "5215512345678"),
        ("5491123456789", "541123456789"),
        ("541123456789", "5491123456789"),
        ("5511981234567", "551181234567"),
        ("5511981234567", "5511981234567"),
    ],
)
def test_somebody_is_found_whose_account_has_other_digits(
    wired: WiredFunctions, written: str, registered: str
) -> None:
    person = wired.network.person(registered, "5555")
    assert wired.deliver(planned(wired, written)).outcome == "sent"
    assert texts(person.devices[0]) == ["Tiket 1"]
    assert set(contacts(wired)) == {written, registered} or written == registered


def test_a_number_that_has_one_spelling_is_asked_for_once(wired: WiredFunctions) -> None:
    wired.network.person("6285555555555", "5555")
    wired.deliver(planned(wired, "6285555555555"))
    assert contacts(wired) == ["6285555555555"]


def test_nobody_under_any_spelling_is_nobody(wired: WiredFunctions) -> None:
    verdict = wired.deliver(planned(wired, "525512345678"))
    assert (verdict.outcome, verdict.cause) == ("failed", "not-on-whatsapp")
    assert contacts(wired) == ["525512345678", "5215512345678"]
