"""Refused ticket events: what is wrong with each is told, what people wrote in them only where asked for."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from tests.support.fake_deployment import FakeDeployment, Said
from tocsin.notify.refused_events import EventSelection
from tocsin_console.errors import NotFound
from tocsin_console.refused_events import (
    drop_refused,
    list_refused,
    redrive_refused,
    show_refused,
)

EVENT: dict[str, Any] = {
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "TicketCreated",
    "source": "ticketing",
    "detail": {
        "ticket": {"id": "TCK-7", "subject": "Internet mati", "revision": "two"},
        "customer": {"name": "Siti", "phone": "0812-3456-7890"},
    },
}
WEBHOOK = {"detail-type": "WebhookRefused", "detail": {"webhook": "zammad", "body": "{}"}}
VIOLATION = "detail.ticket.revision: is not a whole number"


def refuse_webhook(fake: FakeDeployment) -> None:
    letter = {"reason": "webhook-refused", "violations": ["change: …"], "event": json.dumps(WEBHOOK)}
    fake.put("TicketEventsDead", json.dumps(letter))


def test_each_is_listed_with_every_violation(fake: FakeDeployment, said: Said) -> None:
    fake.refuse(EVENT, VIOLATION, "detail.customer.phone: holds no digits")
    list_refused(fake.deployment, said.output)
    assert said.lines[0].startswith(f"{EVENT['id']}  TicketCreated  ticket TCK-7  invalid-event  2026-11-18")
    assert said.lines[1:3] == [f"    {VIOLATION}", "    detail.customer.phone: holds no digits"]


def test_a_webhook_is_listed_with_its_source(fake: FakeDeployment, said: Said, told: Said) -> None:
    refuse_webhook(fake)
    list_refused(fake.deployment, said.output)
    assert "  WebhookRefused  source zammad  ticket ?  webhook-refused" in said.lines[0]
    list_refused(fake.deployment, told.output)
    assert told.records[0]["source"] == "zammad"


def test_one_that_comes_back_at_once_is_not_called_redriven_without_a_word(
    fake: FakeDeployment, said: Said
) -> None:
    refuse_webhook(fake)
    redrive_refused(fake.deployment, EventSelection(), dry_run=False, output=said.output)
    assert said.lines[-2:] == [
        "It is refused again until the mapping of its source is changed: tocsin sources change.",
        "1 redriven",
    ]


def test_nothing_is_said_of_refusal_where_tocsin_crashed(fake: FakeDeployment, said: Said) -> None:
    fake.put("TicketEventsDead", json.dumps(EVENT))
    redrive_refused(fake.deployment, EventSelection(), dry_run=False, output=said.output)
    assert "refused again" not in said.text


def test_nothing_refused_is_said(fake: FakeDeployment, said: Said) -> None:
    list_refused(fake.deployment, said.output)
    assert said.lines == ["no refused events"]


def test_the_list_holds_nothing_that_people_wrote(fake: FakeDeployment, said: Said, told: Said) -> None:
    fake.refuse(EVENT, VIOLATION)
    list_refused(fake.deployment, said.output)
    list_refused(fake.deployment, told.output)
    for text in (said.text, told.text):
        assert "Siti" not in text
        assert "3456" not in text
    assert told.records[0]["violations"] == [VIOLATION]


def test_the_event_is_shown_where_asked_for_with_its_numbers_masked(
    fake: FakeDeployment, said: Said, told: Said
) -> None:
    fake.refuse(EVENT, VIOLATION)
    show_refused(fake.deployment, EVENT["id"], text=False, output=said.output)
    assert "Siti" not in said.text
    show_refused(fake.deployment, EVENT["id"], text=True, output=told.output)
    content = told.records[0]["content"]
    assert content["detail"]["customer"] == {"name": "Siti", "phone": "0812…90"}
    assert content["detail"]["ticket"] == EVENT["detail"]["ticket"]


def test_a_phone_that_is_none_is_shown_to_whoever_must_correct_it(
    fake: FakeDeployment, said: Said, told: Said
) -> None:
    event = {**EVENT, "detail": {**EVENT["detail"], "customer": {"phone": "0812-3456-789O"}}}
    fake.refuse(event, VIOLATION, "detail.customer.phone: holds letters")
    list_refused(fake.deployment, said.output)
    assert "789O" not in said.text
    show_refused(fake.deployment, EVENT["id"], text=True, output=told.output)
    assert told.records[0]["content"]["detail"]["customer"] == {"phone": "0812-3456-789O"}


@pytest.mark.parametrize("body", ["not JSON, call 0812-3456-7890", '["a list", "+62 812 3456 7890"]'])
def test_what_is_no_event_is_shown_as_text_with_its_numbers_masked(
    fake: FakeDeployment, said: Said, body: str
) -> None:
    fake.refuse(body, "the event is no JSON object")
    list_refused(fake.deployment, said.output)
    assert "not an event" in said.lines[0]
    event_id = said.lines[0].split()[0]
    show_refused(fake.deployment, event_id, text=True, output=said.output)
    assert "3456" not in said.text


def test_an_event_that_crashed_the_planner_says_so(fake: FakeDeployment, told: Said) -> None:
    """SQS moves it as it is."""
    fake.put("TicketEventsDead", json.dumps(EVENT))
    list_refused(fake.deployment, told.output)
    assert told.records[0]["reason"] == "crashed"
    assert "plan_notifications" in told.records[0]["violations"][0]


def test_an_event_that_eventbridge_could_not_hand_over_says_why(fake: FakeDeployment, told: Said) -> None:
    fake.put(
        "TicketEventsDead",
        json.dumps(EVENT),
        ERROR_CODE="NO_PERMISSIONS",
        ERROR_MESSAGE="Lacks sqs:SendMessage",
    )
    list_refused(fake.deployment, told.output)
    assert told.records[0]["reason"] == "not-handed-over"
    assert told.records[0]["violations"] == ["EventBridge: NO_PERMISSIONS: Lacks sqs:SendMessage"]


def test_looking_takes_nothing_away(fake: FakeDeployment, told: Said) -> None:
    fake.refuse(EVENT)
    for _ in range(2):
        list_refused(fake.deployment, told.output)
    assert len(told.records) == 2


def test_a_redriven_event_goes_to_the_planner_as_it_came(fake: FakeDeployment, said: Said) -> None:
    fake.refuse(EVENT, VIOLATION)
    fake.put("TicketEventsDead", json.dumps(EVENT | {"id": "crashed-1"}))
    redrive_refused(fake.deployment, EventSelection(), dry_run=False, output=said.output)
    assert sorted(event["id"] for event in fake.taken("TicketEvents")) == [EVENT["id"], "crashed-1"]
    assert fake.taken("TicketEventsDead") == []
    assert said.lines[-1] == "2 redriven"


def test_only_the_selected_ones_are_touched(fake: FakeDeployment, said: Said) -> None:
    fake.refuse(EVENT)
    fake.put("TicketEventsDead", json.dumps(EVENT | {"id": "crashed-1"}))
    drop_refused(
        fake.deployment, EventSelection(reason="crashed"), dry_run=False, output=said.output, yes=True
    )
    drop_refused(fake.deployment, EventSelection(id=EVENT["id"]), dry_run=True, output=said.output, yes=True)
    assert [letter["reason"] for letter in fake.taken("TicketEventsDead")] == ["invalid-event"]
    assert said.lines[-1] == "would be: 1 dropped"


@pytest.mark.parametrize("act", [redrive_refused, partial(drop_refused, yes=True)])
def test_a_dry_run_counts_what_the_real_run_does(fake: FakeDeployment, said: Said, act: Any) -> None:
    fake.refuse(EVENT, VIOLATION)
    fake.put("TicketEventsDead", json.dumps(EVENT | {"id": "crashed-1"}))
    for dry_run in (True, False):
        act(fake.deployment, EventSelection(), dry_run=dry_run, output=said.output)
    expected, done = (line for line in said.lines if re.fullmatch(r"(would be: )?\d+ \w+", line))
    assert expected == f"would be: {done}"


@pytest.mark.parametrize("act", [redrive_refused, partial(drop_refused, yes=True)])
def test_an_id_that_no_event_bears_is_an_error(fake: FakeDeployment, said: Said, act: Any) -> None:
    with pytest.raises(NotFound, match="--queue events"):
        act(fake.deployment, EventSelection(id="nobody"), dry_run=False, output=said.output)
    with pytest.raises(NotFound):
        show_refused(fake.deployment, "nobody", text=False, output=said.output)


DEEP = json.dumps(EVENT | {"id": "deep"}).replace('"two"', '{"a":' * 5000 + "1" + "}" * 5000)
ODD = {
    "deep": DEEP,
    "a bit deep": json.dumps(EVENT | {"id": "deep"}).replace('"two"', "[" * 400 + "]" * 400),
    "violations that are none": json.dumps({"violations": 7, "event": 7}),
    "no event": json.dumps({"violations": ["x"], "event": None}),
    "no text": json.dumps({"violations": [{"a": 1}], "event": "{}", "refused_at": 7, "reason": []}),
    "a number without end": "9" * 5000,
    "nothing in it": json.dumps({"id": [], "detail-type": {}, "detail": {"ticket": {"id": [1]}}}),
    "numbers that JSON doesn't know": '{"id": "x", "detail": {"a": 1e999, "b": NaN}}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_event_is_named_and_the_others_are_listed(
    fake: FakeDeployment, said: Said, told: Said, body: str
) -> None:
    fake.put("TicketEventsDead", body)
    fake.refuse(EVENT, VIOLATION)
    list_refused(fake.deployment, said.output)
    list_refused(fake.deployment, told.output)
    assert sorted(len(record["event"]) > 0 for record in told.records) == [True, True]
    for record in told.records:
        assert any(line.startswith(record["event"]) for line in said.lines)
        show_refused(fake.deployment, record["event"], text=True, output=said.output)
        show_refused(fake.deployment, record["event"], text=True, output=told.output)


def test_an_event_that_was_refused_for_its_depth_is_shown_as_it_came(
    fake: FakeDeployment, said: Said
) -> None:
    fake.refuse(DEEP, "event: is nested too deep")
    list_refused(fake.deployment, said.output)
    event_id = said.lines[0].split()[0]
    assert said.lines[1] == "    event: is nested too deep"
    show_refused(fake.deployment, event_id, text=True, output=said.output)
    assert '{"a":{"a":' in said.text
