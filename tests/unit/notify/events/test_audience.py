"""Who is told about a ticket event."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.templates import properties
from tocsin.notify.events.audience import ROUTES, recipients, technicians
from tocsin.notify.events.samples import FULL, sample_body
from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.notify.notification import MESSAGE_REQUESTED

CUSTOMER = ("customer", "6281234567890")
BUDI = ("technician", "6281311112222")
AYU = ("technician", "6281311113333")
GROUP = ("group", "120363000000000000@g.us")


TOLD_TO_ALL = [event_type for event_type in ROUTES if event_type != "TicketReplied"]


def told(event_type: str = "TicketCreated", **changes: Any) -> list[tuple[str, str]]:
    body = sample_body(event_type, **changes)
    event = parse_event(body, default_region="ID", accounts=["default"])
    return [(recipient.audience, recipient.address) for recipient in recipients(event)]


@pytest.mark.parametrize("event_type", TOLD_TO_ALL)
def test_made_by_an_admin_customer_technicians_and_groups_are_told(event_type: str) -> None:
    assert told(event_type, created_by={"role": "admin", "id": "U-1"}) == [CUSTOMER, BUDI, AYU, GROUP]


@pytest.mark.parametrize("event_type", TOLD_TO_ALL)
def test_made_by_a_technician_customer_and_the_other_technicians_are_told(event_type: str) -> None:
    assert told(event_type, created_by={"role": "technician", "id": "T-3"}) == [CUSTOMER, AYU, GROUP]


def test_an_admin_with_the_id_of_a_technician_is_another_person() -> None:
    assert BUDI in told(created_by={"role": "admin", "id": "T-3"})


def test_an_answer_is_told_to_the_customer_alone() -> None:
    assert told("TicketReplied") == [CUSTOMER]


@pytest.mark.parametrize("role", ["technician", "admin"])
@pytest.mark.parametrize("event_type", TOLD_TO_ALL)
def test_a_technicians_own_change_is_told_to_the_others(event_type: str, role: str) -> None:
    assert told(event_type, changed_by={"role": role, "id": "T-3"}) == [CUSTOMER, AYU, GROUP]


def test_a_customers_own_update_is_told_to_the_others() -> None:
    changed_by = {"role": "customer", "id": "C-77"}
    assert told("TicketUpdated", changed_by=changed_by) == [BUDI, AYU, GROUP]
    assert CUSTOMER in told("TicketCreated", changed_by=changed_by)


def test_a_change_by_somebody_unnamed_silences_nobody() -> None:
    nameless = [{"name": "Budi", "phone": "+62 813 1111 2222"}]
    assert BUDI in told(technicians=nameless, changed_by={"role": "technician"})


def test_a_technician_who_is_not_named_silences_nobody() -> None:
    nameless = [{"name": "Budi", "phone": "+62 813 1111 2222"}]
    assert BUDI in told(technicians=nameless, created_by={"role": "technician"})


def test_nobody_is_told_twice_in_one_role() -> None:
    doubled = [*FULL["technicians"], {"id": "T-9", "name": "Budi again", "phone": "0813 1111 2222"}]
    assert told(technicians=doubled).count(BUDI) == 1


@pytest.mark.parametrize(
    "spellings",
    [
        ("+54 9 11 2345 6789", "+54 11 2345 6789", "+54 11 15 2345 6789"),
        ("+52 55 1234 5678", "+52 1 55 1234 5678"),
        ("+55 11 98123-4567", "+55 11 8123-4567"),
        ("0813 1111 2222", "+62 0813 1111 2222"),
    ],
)
def test_nobody_is_told_twice_in_one_role_however_their_number_is_spelled(spellings: tuple[str, ...]) -> None:
    people = [{"id": f"T-{n}", "phone": written} for n, written in enumerate(spellings)]
    assert [audience for audience, _ in told(technicians=people)] == ["customer", "technician", "group"]


def test_missing_people_are_left_out() -> None:
    assert told(customer=None, technicians=[{"id": "T-3", "name": "Budi"}], groups=[]) == []


def test_an_event_type_is_an_entry_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidEvent, match="is unknown"):
        told("TicketReopened")
    monkeypatch.setitem(ROUTES, "TicketReopened", (technicians,))
    assert told("TicketReopened") == [BUDI, AYU]


def test_the_rule_of_the_bus_lets_the_event_types_of_the_table_in() -> None:
    assert properties("TicketEventsRule")["EventPattern"]["detail-type"] == [*ROUTES, MESSAGE_REQUESTED]
