"""What each help desk sends, and the ticket event that it becomes."""

from __future__ import annotations

import json

import pytest

from tests.support.desks import changed, recorded, translated
from tocsin.door.desks.kind import names
from tocsin.notify.events.audience import recipients
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.schema import parse_event

RECORDED = recorded()
TOLD = [name for name in RECORDED if "becomes" in RECORDED[name].told]
UNTOLD = [name for name in RECORDED if "ignored" in RECORDED[name].told]
CHANGES = ("created", "assigned", "updated", "replied", "resolved")


def event_of(name: str) -> TicketEvent:
    """As the planner reads it."""
    entry = translated(RECORDED[name]).entry
    assert entry is not None
    envelope = {"id": "1", "detail-type": entry.detail_type, "detail": entry.detail}
    return parse_event(json.dumps(envelope), default_region="ID", accounts=["default"])


@pytest.mark.parametrize("kind", names())
def test_every_kind_tells_every_change(kind: str) -> None:
    assert {f"{kind}-{change}" for change in CHANGES} <= set(RECORDED)


@pytest.mark.parametrize("name", TOLD)
def test_a_recorded_webhook_becomes_this_event(name: str) -> None:
    told, one = RECORDED[name].told, translated(RECORDED[name])
    assert one.entry is not None
    assert {"detail-type": one.entry.detail_type, "detail": one.entry.detail} == told["becomes"]
    assert list(one.repairs) == told.get("repairs", [])
    assert [[wanted.place, wanted.id] for wanted in one.wanted] == told.get("wanted", [])


@pytest.mark.parametrize("name", TOLD)
def test_the_change_is_the_one_that_the_file_is_named_by(name: str) -> None:
    kinds = dict(zip(CHANGES, ("Created", "Assigned", "Updated", "Replied", "Resolved"), strict=True))
    assert event_of(name).event_type == f"Ticket{kinds[RECORDED[name].change]}"


@pytest.mark.parametrize("name", TOLD)
def test_the_planner_takes_it_whole(name: str) -> None:
    event = event_of(name)
    assert (event.left_out, event.ignored, event.cut) == ((), (), ())


@pytest.mark.parametrize("name", UNTOLD)
def test_internal_notes_are_told_to_nobody(name: str) -> None:
    one = translated(RECORDED[name])
    assert one.entry is None
    assert one.ignored == RECORDED[name].told["ignored"]


@pytest.mark.parametrize("name", [name for name in TOLD if RECORDED[name].change == "replied"])
def test_an_answer_is_an_update_where_answers_are_not_told(name: str) -> None:
    one = RECORDED[name]
    without = type(one)(one.name, {**one.told, "parameters": {**one.told["parameters"], "replies": "off"}})
    entry = translated(without).entry
    assert entry is not None
    assert entry.detail_type == "TicketUpdated"
    assert "reply" not in entry.detail


def test_an_answer_is_told_without_its_words_where_the_operator_wants_that() -> None:
    one = RECORDED["zammad-replied"]
    notice = type(one)(one.name, {**one.told, "parameters": {"replies": "notice"}})
    entry = translated(notice).entry
    assert entry is not None
    assert entry.detail_type == "TicketReplied"
    assert entry.detail["reply"] == {"by": "Budi Santoso"}


@pytest.mark.parametrize("name", ["redmine-updated", "jira-updated", "splynx-updated", "generic-updated"])
def test_a_technicians_own_change_is_not_told_to_them(name: str) -> None:
    event = event_of(name)
    assert event.changed_by is not None
    (technician,) = event.technicians
    assert event.changed_by.id == technician.id
    assert "technician" not in [one.audience for one in recipients(event)]


def test_a_customers_own_answer_is_not_told_to_them() -> None:
    event = event_of("freescout-updated")
    assert [one.audience for one in recipients(event)] == []
    assert event.customer is not None


def test_zammads_nobody_is_no_technician() -> None:
    assert event_of("zammad-created").technicians == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"item__itemtype": "Problem"}, "of a change or a problem, not of a ticket"),
        ({"item__is_private": None}, "a solution or a validation, of which the ticket's own event tells"),
        ({"event": "update"}, "a followup that was changed"),
    ],
)
def test_what_else_glpi_posts_about_a_ticket_is_told_to_nobody(changes: dict[str, object], why: str) -> None:
    one = RECORDED["glpi-replied"]
    assert translated(one, changed(one, **changes)).ignored == why


def test_a_group_of_glpi_is_no_technician() -> None:
    assert [person.name for person in event_of("glpi-assigned").technicians] == ["Budi Santoso"]


@pytest.mark.parametrize("word", ["created", "assigned", "updated", "resolved", "TicketResolved"])
def test_the_url_says_what_the_body_does_not(word: str) -> None:
    entry = translated(RECORDED["zammad-updated"], query=f"event={word}").entry
    assert entry is not None
    assert entry.detail_type.lower().endswith(word.lower().removeprefix("ticket"))


def test_a_mobile_number_counts_more_than_a_telephone() -> None:
    body = changed(RECORDED["zammad-created"], ticket__customer__mobile="+61 400 000 000")
    entry = translated(RECORDED["zammad-created"], body).entry
    assert entry is not None
    assert entry.detail["customer"]["phone"] == "+61 400 000 000"


def test_the_source_decides_account_language_and_audiences() -> None:
    entry = translated(
        RECORDED["zammad-assigned"], account="billing", language="id", audiences=("technician",)
    ).entry
    assert entry is not None
    assert entry.detail["account"] == "billing"
    assert "customer" not in entry.detail
    assert [one["language"] for one in entry.detail["technicians"]] == ["id"]


def test_a_language_that_the_help_desk_tells_counts_more_than_the_sources() -> None:
    entry = translated(RECORDED["zendesk-created"], language="id").entry
    assert entry is not None
    assert entry.detail["customer"]["language"] == "en"


def test_phones_of_a_second_request_are_those_of_the_people_they_were_asked_for() -> None:
    one = translated(RECORDED["glpi-assigned"]).with_phones({"7": "+62 813 1111 2222"})
    assert one.entry is not None
    assert [person.get("phone") for person in one.entry.detail["technicians"]] == ["+62 813 1111 2222"]
    assert "phone" not in one.entry.detail["customer"]
