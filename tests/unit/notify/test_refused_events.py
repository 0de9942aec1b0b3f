"""A refused event is read whatever it holds, planned again as it came, or dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.support.memory_queue import MemoryQueue
from tocsin.notify.refused_events import EventSelection, RefusedEvent, RefusedEvents

EVENT = {"id": "e1", "detail-type": "TicketCreated", "detail": {"ticket": {"id": "TCK-7"}}}


@dataclass
class Planner:
    """The planner's queue, and the queue of what it refused."""

    refused: MemoryQueue = field(default_factory=MemoryQueue)
    planned: list[str] = field(default_factory=list)

    @property
    def events(self) -> RefusedEvents:
        return RefusedEvents(self.refused, self.planned.append)

    def refuse(self, body: str, *violations: str) -> None:
        self.refused.put(json.dumps({"event": body, "violations": violations, "reason": "invalid-event"}))

    def crash(self, event_id: str) -> None:
        """SQS moves it as it is."""
        self.refused.put(json.dumps(EVENT | {"id": event_id}))


@pytest.fixture
def planner() -> Planner:
    return Planner()


def only(planner: Planner) -> RefusedEvent:
    (event,) = planner.events.read()
    return event


def test_one_that_the_planner_refused_names_its_ticket_and_every_violation(planner: Planner) -> None:
    planner.refuse(json.dumps(EVENT), "detail.x: is missing", "detail.y: is no number")
    event = only(planner)
    assert (event.id, event.detail_type, event.ticket) == ("e1", "TicketCreated", "TCK-7")
    assert event.violations == ("detail.x: is missing", "detail.y: is no number")


def test_one_that_crashed_the_planner_says_so(planner: Planner) -> None:
    planner.crash("e2")
    assert (only(planner).id, only(planner).reason) == ("e2", "crashed")


def test_one_that_eventbridge_could_not_hand_over_says_why(planner: Planner) -> None:
    planner.refused.put(json.dumps(EVENT), ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="Lacks sqs:SendMessage")
    assert only(planner).reason == "not-handed-over"
    assert only(planner).violations == ("EventBridge: NO_PERMISSIONS: Lacks sqs:SendMessage",)


@pytest.mark.parametrize("body", ["not JSON", "[]", "9" * 5000, "[" * 5000, json.dumps({"violations": 7})])
def test_what_is_no_event_has_the_id_of_its_message(planner: Planner, body: str) -> None:
    planner.refused.put(body)
    assert (only(planner).id, only(planner).ticket) == ("message-1", "?")


def test_what_is_no_event_concerns_the_ticket_that_it_names(planner: Planner) -> None:
    planner.refuse('{"ticket": "TCK-7", cut', "the event is no JSON")
    assert only(planner).concerns("TCK-7")
    assert not only(planner).concerns("TCK-70")


def test_a_redriven_one_goes_to_the_planner_as_it_came(planner: Planner) -> None:
    planner.refuse('{"id":  "spaced"}', "detail: is missing")
    assert [event.id for event in planner.events.redrive(EventSelection())] == ["spaced"]
    assert planner.planned == ['{"id":  "spaced"}']
    assert planner.refused.count() == 0


def test_one_that_is_refused_again_at_once_is_redriven_once(planner: Planner) -> None:
    planner.refuse(json.dumps(EVENT))
    for event in planner.events.redrive(EventSelection()):
        planner.refuse(event.body)
    assert len(planner.planned) == planner.refused.count() == 1


def test_the_selection_decides_which_ones(planner: Planner) -> None:
    planner.refuse(json.dumps(EVENT))
    planner.crash("e2")
    planner.crash("e3")
    assert [event.id for event in planner.events.drop(EventSelection(reason="crashed"))] == ["e2", "e3"]
    assert [event.id for event in planner.events.redrive(EventSelection(id="nobody"))] == []
    assert [event.id for event in planner.events.read(EventSelection(id="e1"))] == ["e1"]


def test_a_dry_run_changes_nothing(planner: Planner) -> None:
    planner.crash("e2")
    assert [event.id for event in planner.events.redrive(EventSelection(), dry_run=True)] == ["e2"]
    assert [event.id for event in planner.events.drop(EventSelection(), dry_run=True)] == ["e2"]
    assert (planner.planned, planner.refused.count()) == ([], 1)
